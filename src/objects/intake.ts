/**
 * The incoming half of a connection: bytes in, frames out, and how far behind the frames are.
 *
 * A hibernatable WebSocket cannot be told to wait. What its connection does not take up now is held here,
 * and a sender that wants to know how much is told (`credit`), so that it can stop reading its client: that
 * is how ZooKeeper holds back a client that asks faster than it is answered.
 *
 * Source: ZooKeeper `ZooKeeperServer.shouldThrottle`, `NIOServerCnxn.disableRecv`.
 *
 * @module
 */

import { FrameDecoder, type NextFrame } from "../jute/index.ts";

/** Bytes taken up that are worth a message to the sender. A quarter of `creditWindowBytes` of the gateway. */
export const creditStepBytes = 384 * 1024;

interface Arrival {
  /** Bytes that had come by the end of that ms. */
  through: number;
  readonly atMs: number;
}

export class Intake {
  readonly #decoder = new FrameDecoder();
  /** Since the last frame taken up, oldest first; at most one a ms. */
  readonly #arrivals: Arrival[] = [];
  #received = 0;
  #credited = 0;

  /** Bytes held: part of a frame, or frames that wait. */
  get buffered(): number {
    return this.#decoder.buffered;
  }

  push(chunk: Uint8Array, nowMs: number): void {
    this.#decoder.push(chunk);
    this.#received += chunk.length;
    const last = this.#arrivals.at(-1);
    if (last?.atMs === nowMs) last.through = this.#received;
    else this.#arrivals.push({ through: this.#received, atMs: nowMs });
  }

  next(): NextFrame {
    const next = this.#decoder.next();
    const taken = this.#received - this.#decoder.buffered;
    while ((this.#arrivals[0]?.through ?? taken) < taken) this.#arrivals.shift();
    return next;
  }

  /** When the last byte of the last frame came. */
  get arrivedMs(): number {
    return this.#arrivals[0]?.atMs ?? 0;
  }

  /** Bytes taken up since this was last asked, once they are worth a message; 0 before. */
  takeCredit(): number {
    const fresh = this.#received - this.#decoder.buffered - this.#credited;
    if (fresh < creditStepBytes) return 0;
    this.#credited += fresh;
    return fresh;
  }
}
