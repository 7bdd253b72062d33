/**
 * The tree's rows in memory, for tests and the simulator.
 *
 * @module
 */

import {
  nameOf,
  parentOf,
  type Session,
  type SessionId,
  ZERO_ZXID,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import type { Census, Checkpoint, TreeRows } from "./rows.ts";
import { sizeOf } from "./znodes.ts";

/** Maps that behave like the SQLite tables of a member, including what they refuse to know in between. */
export class MemoryRows implements TreeRows {
  readonly #znodes = new Map<string, Znode>();
  readonly #names = new Map<string, Set<string>>();
  readonly #sessions = new Map<SessionId, Session>();
  #applied: Zxid = ZERO_ZXID;

  get applied(): Zxid {
    return this.#applied;
  }

  get znodeCount(): number {
    return this.#znodes.size;
  }

  readZnode(path: string): Znode | undefined {
    return this.#znodes.get(path);
  }

  listChildren(path: string, after: string | undefined, limit: number): readonly string[] {
    return page(this.#names.get(path) ?? [], after, limit);
  }

  listSweepable(after: string | undefined, limit: number): readonly string[] {
    const paths: string[] = [];
    for (const [path, { lifetime }] of this.#znodes) {
      if (lifetime.kind === "container" || lifetime.kind === "ttl") paths.push(path);
    }
    return page(paths, after, limit);
  }

  ephemeralsOf(owner: SessionId): readonly string[] {
    const paths: string[] = [];
    for (const [path, { lifetime }] of this.#znodes) {
      if (lifetime.kind === "ephemeral" && lifetime.owner === owner) paths.push(path);
    }
    return paths;
  }

  listSessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  census(): Census {
    let ephemerals = 0;
    let bytes = 0;
    for (const [path, { data, lifetime }] of this.#znodes) {
      ephemerals += Number(lifetime.kind === "ephemeral");
      bytes += path.length + sizeOf(data);
    }
    return { znodes: this.#znodes.size, ephemerals, bytes };
  }

  write(checkpoint: Checkpoint): void {
    for (const [path, znode] of checkpoint.znodes) this.#writeZnode(path, znode);
    for (const [id, session] of checkpoint.sessions) {
      if (session === undefined) this.#sessions.delete(id);
      else this.#sessions.set(id, session);
    }
    this.#applied = checkpoint.applied;
  }

  /** The same rows again, on their own from here on: a disk image, or a snapshot for a learner. */
  clone(): MemoryRows {
    const copy = new MemoryRows();
    copy.write({ applied: this.#applied, znodes: this.#znodes, sessions: this.#sessions });
    return copy;
  }

  #writeZnode(path: string, znode: Znode | undefined): void {
    if (znode === undefined) this.#znodes.delete(path);
    else this.#znodes.set(path, znode);
    if (path === "/") return;

    const names = this.#names.get(parentOf(path)) ?? new Set();
    if (znode === undefined) names.delete(nameOf(path));
    else names.add(nameOf(path));
    if (names.size === 0) this.#names.delete(parentOf(path));
    else this.#names.set(parentOf(path), names);
  }
}

function page(texts: Iterable<string>, after: string | undefined, limit: number): readonly string[] {
  const sorted = [...texts].sort();
  const from = after === undefined ? 0 : sorted.findIndex((text) => text > after);
  return from === -1 ? [] : sorted.slice(from, from + limit);
}
