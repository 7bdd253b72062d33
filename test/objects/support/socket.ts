/**
 * A hibernatable WebSocket's server side, as much of it as members use, with its limits.
 *
 * Source: the platform reference, "WebSockets": an attachment holds 16,384 bytes of structured clone, and
 * only codes of applications may be sent.
 *
 * @module
 */

import { deserialize, serialize } from "node:v8";

const attachmentBytesMax = 16_384;

export class TestSocket {
  readonly messages: Uint8Array[] = [];
  readonly texts: string[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** Writes of the attachment. */
  attached = 0;
  /** Refuses to send, as a socket that has gone does. */
  isBroken = false;
  #attachment: Buffer | undefined;

  /** As the platform's type, of which it is a part. */
  get socket(): WebSocket {
    return this as unknown as WebSocket;
  }

  send(message: Uint8Array | string): void {
    if (this.isBroken || this.closed !== undefined) throw new TypeError("cannot send: the socket is closed");
    if (typeof message === "string") this.texts.push(message);
    else this.messages.push(message.slice());
  }

  close(code: number, reason: string): void {
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new RangeError(`invalid close code ${code}`);
    if (new TextEncoder().encode(reason).length > 123) throw new RangeError("the reason is too long");
    this.closed ??= { code, reason };
  }

  serializeAttachment(value: unknown): void {
    const bytes = serialize(value);
    if (bytes.length > attachmentBytesMax) throw new Error(`an attachment of ${bytes.length} bytes`);
    this.attached += 1;
    this.#attachment = bytes;
  }

  deserializeAttachment(): unknown {
    return this.#attachment === undefined ? null : deserialize(this.#attachment);
  }

  /** Messages since the last question. */
  take(): Uint8Array[] {
    return this.messages.splice(0);
  }
}
