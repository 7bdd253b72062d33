/**
 * Holding something by a session: for how long that is certain, and the signal that says when it is not.
 *
 * What a session holds is lost when the server ends the session, and the client may be the last to know:
 * it was suspended, or cut off. So the signal does not wait to be told. It aborts while the session
 * certainly still lives, early enough for whoever works under it to stop first.
 *
 * Invariant: `signal` has aborted before the server can have ended the session, unless the holder's own
 * process stood still. Only a fencing token helps against that.
 *
 * @module
 */

import { formatSessionId } from "../base/index.ts";
import type { Client } from "./client.ts";

/** Why something held is held no more. */
export type LossCause =
  /** The server has not been heard of for nearly the whole session timeout. */
  | "unreachable"
  | "sessionExpired"
  /** Somebody else deleted its znode: stolen, or an operator's act. */
  | "deleted"
  /** Given back by its holder. */
  | "released"
  | "clientClosed";

/** The reason of an aborted `signal`. */
export class Lost extends Error {
  override readonly name = "Lost";
  readonly path: string;
  override readonly cause: LossCause;

  constructor(path: string, cause: LossCause) {
    super(`"${path}" is held no more: ${causes[cause]}`);
    this.path = path;
    this.cause = cause;
  }
}

const causes: Readonly<Record<LossCause, string>> = {
  unreachable: "the server has not been heard of, and the session may end",
  sessionExpired: "its session has expired",
  deleted: "somebody has deleted its znode",
  released: "it was released",
  clientClosed: "the client was closed",
};

/** Time to stop in, before the session may end: a tenth of its timeout, at most this, ms. */
const graceMsMax = 2_000;

export class Tenure {
  readonly path: string;
  readonly #client: Client;
  readonly #sessionId: string | undefined;
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #timer: unknown;

  constructor(client: Client, path: string) {
    this.#client = client;
    this.path = path;
    this.#sessionId = client.sessionId;
    this.#forget = client.onState(() => this.#check());
    const closed = () => this.end("clientClosed");
    client.closing.addEventListener("abort", closed, { once: true, signal: this.signal });
    this.#check();
    void this.#watchZnode();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(cause: LossCause): void {
    if (this.signal.aborted) return;
    this.#forget();
    this.#client.clock.clearTimer(this.#timer);
    this.#controller.abort(new Lost(this.path, cause));
  }

  /** Looks at the session, and says when to look again. */
  #check(): void {
    if (this.signal.aborted) return;
    const { state, sessionId, sessionMarginMs, sessionTimeoutMs, clock } = this.#client;
    if (state.kind === "closed" || this.#client.closing.aborted) return this.end("clientClosed");
    if (state.kind === "expired" || sessionId !== this.#sessionId) return this.end("sessionExpired");
    const leftMs = sessionMarginMs - Math.min(graceMsMax, sessionTimeoutMs / 10);
    if (leftMs <= 0) return this.end("unreachable");
    clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(() => this.#check(), leftMs);
  }

  async #watchZnode(): Promise<void> {
    const { signal } = this;
    try {
      while (!signal.aborted) {
        const { stat, changed } = await this.#client.exists(this.path, { watch: true, signal });
        const isOurs = stat !== undefined && idOf(stat.ephemeralOwner) === this.#sessionId;
        if (!isOurs) return this.end("deleted");
        await changed;
      }
    } catch {
      // The session's end, and the tenure's own, are told by the state.
    }
  }
}

function idOf(owner: bigint): string {
  return formatSessionId(owner as Parameters<typeof formatSessionId>[0]);
}
