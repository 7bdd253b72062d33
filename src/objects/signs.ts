/**
 * Signs of life that a member's sockets have seen in its place, told to whoever keeps the deadlines.
 *
 * A client that only keeps its connection alive is answered by the platform. The leader asks its own sockets
 * when a deadline passes; those of other members it cannot ask, so they tell it: first of all, and regularly.
 *
 * @module
 */

import type { SessionId } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { Connections } from "./connections.ts";
import type { Following } from "./following.ts";
import type { Leading } from "./leading.ts";

/** How often sockets are asked, in peer ticks: half the least session timeout. */
const signTicks = 20;

export interface SignsParts {
  readonly tree: Tree;
  now(): number;
  connections(): Pick<Connections, "shownSince">;
  leading(): Leading | undefined;
  following(): Following | undefined;
}

export class Signs {
  readonly #parts: SignsParts;
  #nextTick = 0;
  #throughMs = 0;

  constructor(parts: SignsParts) {
    this.#parts = parts;
  }

  /** There is a leader that knows nothing yet. */
  beginAnew(): void {
    this.#nextTick = 0;
    this.#throughMs = 0;
  }

  /** The member has slept. */
  hurry(): void {
    this.#nextTick = 0;
  }

  /** A sign of life at `atMs`, which may lie in the past. */
  heard(session: SessionId, atMs: number): void {
    const { tree, now, leading, following } = this.#parts;
    const reign = leading();
    if (reign !== undefined) reign.sessions.touch(session, atMs);
    // A leader that is told counts from then on: of what is too long ago it is not told.
    else if (atMs + (tree.session(session)?.timeoutMs ?? 0) > now()) following()?.touch(session);
  }

  /** A tick has passed, at a member that serves and does not lead. */
  tick(ticks: number): void {
    if (ticks < this.#nextTick) return;
    this.#nextTick = ticks + signTicks;
    const sinceMs = this.#throughMs;
    this.#throughMs = this.#parts.now();
    for (const [session, signMs] of this.#parts.connections().shownSince(sinceMs)) {
      this.heard(session, signMs);
    }
  }
}
