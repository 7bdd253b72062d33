/**
 * Going on through what passes: lost connections, ended sessions, a server that is too busy.
 *
 * @module
 */

import { type Client, isZkError, pause, undefinedIf } from "../client/index.ts";

/** Pause after a failure that time may cure, ms. */
const retryMs = 1_000;

const passing = ["SessionExpired", "ConnectionLoss", "OperationTimeout", "ThrottledOp"] as const;

/**
 * Runs until it succeeds. What fails with the connection is run again; what else it throws is thrown.
 *
 * @returns `undefined` when the signal aborts, or the client is closed, before it has succeeded.
 */
export async function persistently<Result>(
  zk: Client,
  signal: AbortSignal,
  run: () => Promise<Result>,
): Promise<Result | undefined> {
  while (!isOver(zk, signal)) {
    try {
      return await run();
    } catch (error) {
      if (isOver(zk, signal)) return undefined;
      if (!passing.some((name) => isZkError(error, name))) throw error;
      // The end of a session is followed by another at once; the rest takes its time.
      if (!isZkError(error, "SessionExpired")) await pause(zk.clock, retryMs, signal).catch(() => undefined);
    }
  }
  return undefined;
}

function isOver(zk: Client, signal: AbortSignal): boolean {
  return signal.aborted || zk.state.kind === "closed";
}

/** For a read of what may be gone. */
export const orMissing = undefinedIf("NoNode");

/** Lets one loop wait for whatever may have changed; rings in quick succession count as one. */
export class Bell {
  #ring: () => void = () => undefined;
  #rung = this.#next();

  ring(): void {
    this.#ring();
  }

  /** Resolves when it has rung since the last `heard`. */
  async heard(): Promise<void> {
    await this.#rung;
    this.#rung = this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }
}
