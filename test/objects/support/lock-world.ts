/**
 * A lone voter's tree and pipeline behind locks and semaphores, with the test's own clock and watches.
 *
 * Sessions never lapse by themselves: a test ends one when its time is over.
 *
 * @module
 */

import { makeSessionId, OpCode, type SessionId } from "../../../src/base/index.ts";
import { Locks, type LocksHost } from "../../../src/objects/locks.ts";
import { Semaphores, type SemaphoresHost } from "../../../src/objects/semaphores.ts";
import type { Settlement } from "../../../src/objects/writes.ts";
import { Leader } from "./leader.ts";

export class LockWorld {
  readonly touched: SessionId[] = [];
  isConfirmed = true;
  isLeading = true;
  hasRoom = true;
  /** How often a watch has gone off. */
  wakes = 0;
  readonly #watchers = new Map<number, () => void>();
  #lastSession = 0;
  #lastWatcher = 0;
  readonly leader: Leader = new Leader({
    isLone: true,
    applied: (_, __, { triggers }) => {
      for (const trigger of triggers)
        for (const { watcher } of this.leader.tree.watches.fire(trigger, () => true)) {
          this.wakes += 1;
          this.#watchers.get(watcher)?.();
        }
    },
  });
  readonly locks: Locks;
  readonly semaphores: Semaphores;

  constructor() {
    const { tree } = this.leader;
    const watch = (changed: () => void, add: (watcher: number) => void) => {
      this.#lastWatcher += 1;
      this.#watchers.set(this.#lastWatcher, changed);
      add(this.#lastWatcher);
      return this.#lastWatcher;
    };
    const host: LocksHost & SemaphoresHost = {
      tree,
      now: () => this.leader.nowMs,
      isLeading: () => this.isLeading,
      hasRoom: () => this.hasRoom,
      newSessionId: () => this.newSessionId(),
      sessionOf: ({ id, password }) => (password === "right" ? makeSessionId(BigInt(id)) : undefined),
      write: (request, requester) => {
        if (!this.isLeading) return Promise.resolve({ kind: "lost" });
        return new Promise<Settlement>((resolve) => {
          this.leader.submit(request, { requester, settle: resolve });
          this.leader.writes.flush();
        });
      },
      touch: (session) => {
        this.touched.push(session);
        return tree.isOpen(session) ? this.leader.nowMs : undefined;
      },
      confirm: () => Promise.resolve(this.isConfirmed),
      watchZnode: (path, changed) => watch(changed, (watcher) => tree.watches.addData(watcher, path)),
      watchChildren: (path, changed) => watch(changed, (watcher) => tree.watches.addChild(watcher, path)),
      unwatch: (watcher) => {
        this.#watchers.delete(watcher);
        tree.watches.drop(watcher);
      },
    };
    this.locks = new Locks(host);
    this.semaphores = new Semaphores(host, this.locks);
  }

  /** Watchers that nobody removed. */
  get watchers(): number {
    return this.#watchers.size + this.leader.tree.watches.watcherCount;
  }

  newSessionId(): SessionId {
    this.#lastSession += 1;
    return makeSessionId(BigInt(this.#lastSession));
  }

  /** Of a client with a connection, or of a caller who brings it. */
  openSession(): SessionId {
    const session = this.newSessionId();
    this.leader.submit({ type: OpCode.CreateSession, timeoutMs: 10_000 }, { requester: asOf(session) });
    this.leader.writes.flush();
    return session;
  }

  /** A session's timeout is over. */
  lapse(session: SessionId): void {
    this.leader.submit({ type: OpCode.CloseSession }, { requester: asOf(session) });
    this.leader.writes.flush();
  }

  /** Leadership is lost: whoever waits hears it. */
  depose(): void {
    this.isLeading = false;
    for (const changed of [...this.#watchers.values()]) changed();
  }

  children(path: string): readonly string[] {
    return this.leader.tree.children(path, undefined, 99);
  }
}

function asOf(sessionId: SessionId) {
  return { sessionId, identities: [] };
}
