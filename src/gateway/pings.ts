/**
 * A ZooKeeper client's pings, answered without waking the member.
 *
 * A client that has nothing to say pings all the same, and each ping would wake a member that sleeps. So a
 * ping with nothing under way is held back, and the text `ping` goes in its place: the platform answers that,
 * and remembers when. Only then is the client answered; an ensemble that is gone is noticed as fast as ever.
 *
 * The answer is the one that the member gave to the ping before, with its zxid: it still holds when not a byte
 * has passed since, in either direction. Otherwise the ping itself goes to the member.
 *
 * Source: ZooKeeper `ClientCnxn.SendThread.sendPing`: xid -2, type 11.
 *
 * @module
 */

const ping = Uint8Array.of(0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11);

/** How the answer begins: 16 bytes follow the length, and the first are the xid. */
const pongHead = Uint8Array.of(0, 0, 0, 16, 0xff, 0xff, 0xff, 0xfe);
const pongBytes = 20;

/** What the platform answers in the member's place, and with what. */
export const platformPing = "ping";
export const platformPong = "pong";

/** Follows a stream from frame to frame. */
class FrameWalk {
  #left = 0;
  #length = 0;
  #lengthBytes = 0;

  get isBetweenFrames(): boolean {
    return this.#left === 0 && this.#lengthBytes === 0;
  }

  pass(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#length = this.#length * 256 + (chunk[at] ?? 0);
      this.#lengthBytes += 1;
      at += 1;
      if (this.#lengthBytes < 4) continue;
      this.#left = this.#length;
      this.#length = 0;
      this.#lengthBytes = 0;
    }
  }
}

export class Pings {
  readonly #up = new FrameWalk();
  readonly #down = new FrameWalk();
  /** A ping is with the member, and nothing else has passed since. */
  #isAsking = false;
  /** The member's answer to the last ping, while nothing else has passed since. */
  #answer: Uint8Array | undefined;
  /** The same, whatever has passed. */
  #lastAnswer: Uint8Array = new Uint8Array(0);
  /** Pings held back until the platform answers. */
  #held = 0;

  /** Bytes of the client's. True: a ping that is held back; ask the platform instead. */
  fromClient(chunk: Uint8Array): boolean {
    const isPing = this.#up.isBetweenFrames && chunk.length === ping.length && beginsWith(chunk, ping);
    if (isPing && this.#answer !== undefined) {
      this.#held += 1;
      return true;
    }
    this.#up.pass(chunk);
    this.#isAsking = isPing;
    this.#answer = undefined;
    return false;
  }

  /** Bytes of the member's, on their way to the client. */
  fromMember(chunks: readonly Uint8Array[]): void {
    const [first] = chunks;
    const isAnswer =
      this.#isAsking &&
      chunks.length === 1 &&
      first?.length === pongBytes &&
      this.#down.isBetweenFrames &&
      beginsWith(first, pongHead);
    this.#isAsking = false;
    this.#answer = isAnswer ? first.slice() : undefined;
    this.#lastAnswer = this.#answer ?? this.#lastAnswer;
    for (const chunk of chunks) this.#down.pass(chunk);
  }

  /** The platform has answered: what the client is told, or the member is asked instead. */
  answered(): { readonly toClient?: Uint8Array; readonly toMember?: Uint8Array } {
    if (this.#held === 0) return {};
    this.#held -= 1;
    if (this.#answer !== undefined) return { toClient: this.#answer };
    this.#isAsking = false;
    // In the middle of a frame nothing can be slipped in; an answer that is a little old will do.
    return this.#up.isBetweenFrames ? { toMember: ping } : { toClient: this.#lastAnswer };
  }
}

function beginsWith(chunk: Uint8Array, head: Uint8Array): boolean {
  return head.every((byte, at) => chunk[at] === byte);
}
