/**
 * What a cross-check plays: steps of a few clients, as plain data that both servers can be given.
 *
 * A script never names what a server makes up. Sessions are named by the client that opened them, zxids by
 * how far they lie behind the newest one the player has seen.
 *
 * @module
 */

import type { ClientRequest } from "../../src/base/index.ts";

/** The clients of a script: 0 to `clientCount - 1`. */
export const clientCount = 4;

/** A request in a script: as on the wire, but `relativeZxid` counts back from the newest zxid seen. */
export type ScriptRequest = ClientRequest;

export type Step =
  /** Opens a TCP connection and sends a connect request. A connection that the client still has is cut. */
  | {
      readonly kind: "connect";
      readonly client: number;
      /** Whose session to present: `undefined` for a new one. */
      readonly sessionOf: number | undefined;
      readonly timeoutMs: number;
      readonly password: "right" | "wrong" | "none";
      /** `lastZxidSeen`, relative to the newest zxid seen; `undefined` sends 0. */
      readonly zxidOffset: number | undefined;
      readonly readOnly: boolean | undefined;
    }
  /** Cuts the TCP connection; the session lives on. */
  | { readonly kind: "cut"; readonly client: number }
  /** Cuts the TCP connection and waits until the server has expired the session. */
  | { readonly kind: "expire"; readonly client: number }
  /** Sends requests in one write and waits for all answers. */
  | { readonly kind: "requests"; readonly client: number; readonly requests: readonly ScriptRequest[] }
  /** Sends a frame's body, header and all, whatever it says; then a ping. */
  | { readonly kind: "frame"; readonly client: number; readonly bytes: Uint8Array }
  /** Sends bytes that need not be a frame, on a connection of their own or behind a session's. */
  | {
      readonly kind: "bytes";
      readonly client: number;
      /** Ahead of any connect request. */
      readonly isFirst: boolean;
      readonly bytes: Uint8Array;
    }
  /** A ping: collects the events that have arrived. */
  | { readonly kind: "ping"; readonly client: number };

/** JSON in which bytes and 64-bit numbers can be read. */
export function render(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key) {
    const field = this[key]; // A `Buffer` has been made JSON of by the time it is an argument.
    if (typeof field === "bigint") return field.toString();
    return field instanceof Uint8Array ? renderBytes(field) : field;
  });
}

const shownBytesMax = 64;

function renderBytes(bytes: Uint8Array): string {
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  const shown = bytes.subarray(0, shownBytesMax);
  const text = isText ? `'${Buffer.from(shown).toString()}'` : `0x${Buffer.from(shown).toString("hex")}`;
  return bytes.length > shownBytesMax ? `${text}... (${bytes.length} bytes)` : text;
}
