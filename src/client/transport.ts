/**
 * How bytes reach a server: the one interface between a session and TCP, WebSocket or a service binding.
 *
 * A transport opens wires, one after the other, as often as the session asks. It knows no frames and keeps
 * no state between wires but which server comes next.
 *
 * @module
 */

/** An open byte stream to a server. */
export interface Wire {
  /** Takes bytes over; sends them in order. */
  send(bytes: Uint8Array): void;
  /** Ends it. `closed` is not called afterwards. */
  close(): void;
}

/** What becomes of an attempt: `opened` and later `closed`, or `closed` alone. */
export interface WireEvents {
  opened(wire: Wire): void;
  /** The next bytes of the stream; the receiver may keep them. */
  received(bytes: Uint8Array): void;
  /** Once, last. `reason` is for people, and holds no secret. */
  closed(reason: string): void;
}

export interface Transport {
  /** Where it leads, for messages. */
  readonly target: string;
  /** Tries the next server. Answers a function that gives the attempt up, wire included. */
  open(events: WireEvents): () => void;
}

/** A clock that tests can hold. */
export interface Clock {
  /** Milliseconds, from any fixed moment. */
  now(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  /** 0 (included) to 1 (not). */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer: (run, ms) => setTimeout(run, ms),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: () => Math.random(),
};
