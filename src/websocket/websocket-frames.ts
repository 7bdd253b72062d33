/**
 * WebSocket frames, the client's half: masked frames out, unmasked frames in.
 *
 * The gateway carries a byte stream, so the decoder hands binary payload on as it comes, frame
 * boundaries forgotten: nothing is gathered, and no bound on a message's length is needed. Text messages
 * are no part of the stream: short ones are what the member tells the gateway, others are skipped.
 *
 * Node's own WebSocket was measured against this: it insists on offering compression, which workerd
 * accepts, and moved a quarter of the 6,400-byte messages a second, at three times the CPU. It also cannot
 * be paused.
 *
 * Source: RFC 6455, section 5.
 *
 * @module
 */

import { randomFillSync } from "node:crypto";

export const WebSocketOpcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;
export type WebSocketOpcode = (typeof WebSocketOpcode)[keyof typeof WebSocketOpcode];

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const controlBytesMax = 125;

/** Nothing that a member says is longer. */
const textBytesMax = 125;
const headerBytesMax = 10;

/** What arrived, in order. After a `fault` the stream means nothing any more. */
export type FramePart =
  /** A view of the pushed chunk. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** A whole message of at most `textBytesMax`. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ping"; readonly payload: Uint8Array }
  /** 1005 when the frame carried no code. */
  | { readonly kind: "close"; readonly code: number }
  | { readonly kind: "fault"; readonly reason: string };

/** One final frame holding `chunks` end to end, masked. */
export function encodeFrame(opcode: WebSocketOpcode, chunks: readonly Uint8Array[]): Uint8Array {
  const length = chunks.reduce((total, chunk) => total + chunk.length, 0);
  const headerBytes = length <= controlBytesMax ? 2 : length <= 0xffff ? 4 : headerBytesMax;
  // Room to begin late, so that the payload lies on a word boundary and can be masked by words.
  const buffer = Buffer.allocUnsafe(headerBytes + 4 + length + 3);
  const skew = (4 - ((buffer.byteOffset + headerBytes + 4) % 4)) % 4;
  const frame = buffer.subarray(skew, skew + headerBytes + 4 + length);
  frame[0] = FIN | opcode;
  if (headerBytes === 2) {
    frame[1] = MASKED | length;
  } else if (headerBytes === 4) {
    frame[1] = MASKED | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = MASKED | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  const key = drawMaskKey();
  frame.set(key, headerBytes);
  let at = headerBytes + 4;
  for (const chunk of chunks) {
    frame.set(chunk, at);
    at += chunk.length;
  }
  mask(frame.subarray(headerBytes + 4), key);
  return frame;
}

const maskKeys = Buffer.alloc(4096);
let maskKeysUsed = maskKeys.length;

/** Four random bytes; drawing them by the thousand costs a tenth. */
function drawMaskKey(): Uint8Array {
  if (maskKeysUsed === maskKeys.length) {
    randomFillSync(maskKeys);
    maskKeysUsed = 0;
  }
  maskKeysUsed += 4;
  return maskKeys.subarray(maskKeysUsed - 4, maskKeysUsed);
}

/** Exclusive-or with the key, in place. `payload` begins on a word boundary. */
function mask(payload: Uint8Array, key: Uint8Array): void {
  const wordCount = payload.length >>> 2;
  const words = new Int32Array(payload.buffer, payload.byteOffset, wordCount);
  // Read in the machine's own byte order, as the payload's words are.
  const keyWord = new Int32Array(Uint8Array.from(key).buffer)[0] ?? 0;
  for (let i = 0; i < wordCount; i++) words[i] = (words[i] ?? 0) ^ keyWord;
  for (let i = wordCount * 4; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0);
}

/** Takes a server's frames apart, however the bytes are cut. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytesMax);
  /** Gathered payload of a text message; `undefined`: it is too long to be heard. */
  #text: Uint8Array | undefined = new Uint8Array(0);
  /** Header bytes held. */
  #headerHeld = 0;
  /** Payload bytes of the current frame still to come; `undefined` between frames. */
  #left: number | undefined;
  /** The current frame's opcode. */
  #opcode = 0;
  /** The opcode of the message under way, which continuations carry on. */
  #message: number | undefined;
  /** Gathered payload of a control frame, at most {@link controlBytesMax}. */
  #control: Uint8Array = new Uint8Array(0);
  #failed = false;

  push(chunk: Uint8Array): FramePart[] {
    const parts: FramePart[] = [];
    let rest = chunk;
    while (!this.#failed) {
      if (this.#left === undefined) {
        if (rest.length === 0) break;
        rest = this.#readHeader(rest, parts);
      } else {
        // A frame without payload ends here too, so this comes before the question whether bytes are left.
        const taken = rest.subarray(0, this.#left);
        rest = rest.subarray(taken.length);
        this.#left -= taken.length;
        this.#readPayload(taken, parts);
        if (this.#left > 0) break;
        this.#endFrame(parts);
      }
    }
    return parts;
  }

  /** Takes what it can of the header; answers the bytes after it. */
  #readHeader(rest: Uint8Array, parts: FramePart[]): Uint8Array {
    let used = 0;
    while (used < rest.length && this.#headerHeld < this.#headerWanted()) {
      this.#header[this.#headerHeld++] = rest[used++] ?? 0;
    }
    if (this.#headerHeld === this.#headerWanted()) this.#beginFrame(parts);
    return rest.subarray(used);
  }

  #headerWanted(): number {
    if (this.#headerHeld < 2) return 2;
    const short = (this.#header[1] ?? 0) & 0x7f;
    return short === 127 ? headerBytesMax : short === 126 ? 4 : 2;
  }

  #beginFrame(parts: FramePart[]): void {
    const first = this.#header[0] ?? 0;
    const second = this.#header[1] ?? 0;
    const short = second & 0x7f;
    const length =
      short === 127
        ? Number(this.#header.readBigUInt64BE(2))
        : short === 126
          ? this.#header.readUInt16BE(2)
          : short;
    const opcode = first & 0x0f;
    const fault = this.#faultOf({ first, second, opcode, length });
    if (fault !== undefined) {
      this.#failed = true;
      parts.push({ kind: "fault", reason: fault });
      return;
    }
    this.#headerHeld = 0;
    this.#opcode = opcode;
    this.#left = length;
    if (opcode === WebSocketOpcode.Text || opcode === WebSocketOpcode.Binary) this.#message = opcode;
  }

  #faultOf(frame: { first: number; second: number; opcode: number; length: number }): string | undefined {
    if ((frame.first & RESERVED) !== 0) return "a reserved bit is set";
    if ((frame.second & MASKED) !== 0) return "a server's frame is masked";
    if (!Number.isSafeInteger(frame.length)) return "a frame is longer than 2^53 bytes";
    switch (frame.opcode) {
      case WebSocketOpcode.Continuation:
        return this.#message === undefined ? "a continuation follows no message" : undefined;
      case WebSocketOpcode.Text:
      case WebSocketOpcode.Binary:
        return this.#message === undefined ? undefined : "a message begins inside another";
      case WebSocketOpcode.Close:
      case WebSocketOpcode.Ping:
      case WebSocketOpcode.Pong:
        if ((frame.first & FIN) === 0) return "a control frame is fragmented";
        return frame.length > controlBytesMax ? "a control frame is longer than 125 bytes" : undefined;
      default:
        return `opcode ${frame.opcode} is unknown`;
    }
  }

  #readPayload(bytes: Uint8Array, parts: FramePart[]): void {
    if (bytes.length === 0) return;
    if (this.#opcode >= WebSocketOpcode.Close) this.#control = Buffer.concat([this.#control, bytes]);
    else if (this.#message === WebSocketOpcode.Binary) parts.push({ kind: "bytes", bytes });
    else if (this.#text !== undefined && this.#text.length + bytes.length <= textBytesMax) {
      this.#text = Buffer.concat([this.#text, bytes]);
    } else this.#text = undefined;
  }

  #endFrame(parts: FramePart[]): void {
    const isFinal = ((this.#header[0] ?? 0) & FIN) !== 0;
    const payload = this.#control;
    this.#control = new Uint8Array(0);
    this.#left = undefined;
    if (this.#opcode === WebSocketOpcode.Ping) {
      parts.push({ kind: "ping", payload });
    } else if (this.#opcode === WebSocketOpcode.Close) {
      const [high, low] = payload;
      parts.push({ kind: "close", code: high === undefined || low === undefined ? 1005 : high * 256 + low });
    } else if (this.#opcode < WebSocketOpcode.Close && isFinal) {
      if (this.#message === WebSocketOpcode.Text) this.#endText(parts);
      this.#message = undefined;
    }
  }

  #endText(parts: FramePart[]): void {
    if (this.#text !== undefined) parts.push({ kind: "text", text: Buffer.from(this.#text).toString() });
    this.#text = new Uint8Array(0);
  }
}
