/**
 * How long a client may be silent: as long as its session's timeout, which the answer to its connect request names.
 *
 * A frozen client keeps its connection, and a member that sleeps would take twice the timeout to be sure that nobody
 * is there. The gateway is awake and hears every byte, so it closes the connection instead. That ends no session. It
 * wakes the member a little before the deadline, which it then keeps as ever; a client that comes back in time has lost
 * nothing but a connection.
 *
 * A gateway that stalls may find its clock ahead of what has arrived, so there are two looks, and what has come is read
 * between them. A client that is not read, for it asks too fast, is not silent.
 *
 * Source: ZooKeeper `ConnectResponse`: protocol version, timeout, session id, password.
 *
 * @module
 */

/** The first look comes so long before the timeout is over. */
const headStartMs = 200;
/** From the first look to the second. */
const secondLookMs = 100;

/** Length, protocol version, timeout. */
const headBytes = 12;
/** A connect response: without the flag of read-only servers, and with it. */
const responseBytes: ReadonlySet<number> = new Set([36, 37]);

export interface SilenceEvents {
  /** Whether the client is read at present. */
  isRead(): boolean;
  /** It has been silent for too long. At most once. */
  onSilent(): void;
}

export class Silence {
  readonly #events: SilenceEvents;
  /** What the member has sent, until its head is complete. */
  #head: readonly number[] = [];
  #limitMs = 0;
  #heardAtMs = 0;
  #isSuspected = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(events: SilenceEvents) {
    this.#events = events;
  }

  /** Bytes of the client's have come. */
  heard(): void {
    this.#heardAtMs = performance.now();
  }

  /** Bytes of the member's; the first of them say how long the client may be silent. */
  fromMember(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      if (this.#head.length === headBytes) return;
      this.#head = [...this.#head, ...chunk.subarray(0, headBytes - this.#head.length)];
      if (this.#head.length === headBytes) this.#begin();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #begin(): void {
    const head = new DataView(Uint8Array.from(this.#head).buffer);
    const timeoutMs = head.getInt32(8);
    // A session that is refused has a timeout of 0.
    if (!responseBytes.has(head.getInt32(0)) || head.getInt32(4) !== 0 || timeoutMs <= 0) return;
    this.#limitMs = Math.max(timeoutMs - headStartMs, timeoutMs / 2);
    this.#lookIn(this.#limitMs);
  }

  #lookIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    if (!this.#events.isRead()) this.heard();
    const leftMs = this.#heardAtMs + this.#limitMs - performance.now();
    if (leftMs > 0) {
      this.#isSuspected = false;
      this.#lookIn(leftMs);
    } else if (this.#isSuspected) {
      this.#events.onSilent();
    } else {
      this.#isSuspected = true;
      this.#lookIn(secondLookMs);
    }
  }
}
