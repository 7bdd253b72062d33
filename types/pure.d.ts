/**
 * The only globals beyond the language that pure rooms may name: text to UTF-8 and back, and bytes to
 * base64, which are the same everywhere and always. `tsconfig.pure.json` shows them nothing else of any platform.
 *
 * @module
 */

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array | ArrayBuffer): string;
}

/** Each unit of `data` is a byte. */
declare function btoa(data: string): string;
