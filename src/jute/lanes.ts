/**
 * Lanes: the byte streams of many connections on one.
 *
 * A gateway and a member share a WebSocket that carries the bytes of all their connections. Each part begins
 * with the connection's number and a word: how many bytes follow, or what has become of the stream.
 *
 * No part means anything to the one behind it, so a stream may be cut between any two.
 *
 * @module
 */

export type LanePart =
  /** A view of the pushed chunk; a part's bytes may come in several. */
  | { readonly kind: "bytes"; readonly lane: number; readonly bytes: Uint8Array }
  /** Nothing more comes from this side. */
  | { readonly kind: "end"; readonly lane: number }
  /** To the member: answer on the connection's own WebSocket. From it: what follows comes there. */
  | { readonly kind: "turn"; readonly lane: number };

/** The largest number of a connection. */
export const laneMax = 0xffff_ffff;

/** Bytes ahead of each part. */
export const laneHeadBytes = 8;

const endWord = 0;
const turnWord = -1;

/** What stands ahead of so many bytes, at least one, of a connection's stream. */
export function encodeLaneHead(lane: number, bytes: number): Uint8Array {
  const head = new Uint8Array(laneHeadBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, lane);
  view.setInt32(4, bytes);
  return head;
}

export function encodeLaneEnd(lane: number): Uint8Array {
  return encodeLaneHead(lane, endWord);
}

export function encodeLaneTurn(lane: number): Uint8Array {
  return encodeLaneHead(lane, turnWord);
}

/** Takes parts off a stream, however its bytes are cut. */
export class LaneReader {
  readonly #head = new Uint8Array(laneHeadBytes);
  readonly #view = new DataView(this.#head.buffer);
  /** Bytes of the head that have come; all of them while the part's own are coming. */
  #headHeld = 0;
  /** Bytes of the part still to come. */
  #left = 0;
  #isFaulty = false;

  /** Nothing of a part has come yet. */
  get isBetweenParts(): boolean {
    return this.#headHeld === 0;
  }

  /** A word that says nothing has come: the stream means nothing from there on. */
  get isFaulty(): boolean {
    return this.#isFaulty;
  }

  push(chunk: Uint8Array): LanePart[] {
    const parts: LanePart[] = [];
    let at = 0;
    while (at < chunk.length && !this.#isFaulty) {
      if (this.#headHeld < laneHeadBytes) {
        this.#head[this.#headHeld] = chunk[at] ?? 0;
        this.#headHeld += 1;
        at += 1;
        if (this.#headHeld === laneHeadBytes) this.#begin(parts);
        continue;
      }
      const bytes = chunk.subarray(at, at + this.#left);
      at += bytes.length;
      this.#left -= bytes.length;
      parts.push({ kind: "bytes", lane: this.#view.getUint32(0), bytes });
      if (this.#left === 0) this.#headHeld = 0;
    }
    return parts;
  }

  #begin(parts: LanePart[]): void {
    const lane = this.#view.getUint32(0);
    const word = this.#view.getInt32(4);
    if (word > 0) {
      this.#left = word;
      return;
    }
    this.#headHeld = 0;
    if (word === endWord) parts.push({ kind: "end", lane });
    else if (word === turnWord) parts.push({ kind: "turn", lane });
    else this.#isFaulty = true;
  }
}
