/**
 * What every call of the client takes, and what a read that watches answers.
 *
 * @module
 */

import type { ZnodeEvent } from "./znode.ts";

export interface CallOptions {
  /** Stops the waiting. A write that was sent may still be applied. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer that is true until `changed` resolves. */
export interface Watched {
  /**
   * Resolves once, when what was read has changed. Rejects with `SessionExpired` if the session ends
   * first: then nobody watches any more.
   */
  readonly changed: Promise<ZnodeEvent>;
}
