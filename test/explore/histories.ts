/**
 * Histories as a tree: a node is a txn together with everything before it.
 *
 * Two logs agree up to a txn exactly when they pass through the same node, so log matching is a
 * comparison of two integers. Node 0 is the empty history.
 *
 * @module
 */

import { compareZxid, ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import type { Batch, Config, Outline } from "../../src/zab/index.ts";
import { violate } from "../sim/violation.ts";
import { type Configuration, type Configurations, isChange, nameOf } from "./configurations.ts";

interface Node {
  readonly parent: number;
  readonly zxid: Zxid;
  /** Number of the proposal: no two proposals of a run share it. */
  readonly payload: number;
  readonly depth: number;
  /** The last txn that changed the configuration, this one included; `EMPTY`: none did. */
  readonly change: number;
}

export const EMPTY = 0;

export class Histories {
  readonly #nodes: Node[] = [{ parent: -1, zxid: ZERO_ZXID, payload: 0, depth: 0, change: EMPTY }];
  readonly #children = new Map<string, number>();
  readonly #configurations: Configurations;

  constructor(configurations: Configurations) {
    this.#configurations = configurations;
  }

  #node(id: number): Node {
    const node = this.#nodes[id];
    if (node === undefined) throw new Error(`no history ${id}`);
    return node;
  }

  zxid(id: number): Zxid {
    return this.#node(id).zxid;
  }

  parent(id: number): number {
    return this.#node(id).parent;
  }

  depth(id: number): number {
    return this.#node(id).depth;
  }

  /** The last txn of a history that changed the configuration; `EMPTY`: none did. */
  change(id: number): number {
    return this.#node(id).change;
  }

  /** All of them, oldest first. */
  changes(id: number): number[] {
    const found: number[] = [];
    for (let node = this.change(id); node !== EMPTY; node = this.change(this.parent(node)))
      found.unshift(node);
    return found;
  }

  /** The configuration behind a history. */
  governing(id: number): Configuration {
    const { payload } = this.#node(this.change(id));
    return this.#configurations.changeOf(payload) ?? this.#configurations.first;
  }

  /** As members keep it: with the zxid that introduced it. */
  configOf(id: number): Config {
    return { version: this.zxid(this.change(id)), ...this.governing(id).membership };
  }

  /** One txn more. Fails with I6 when the counters would have a gap. */
  append(parent: number, zxid: Zxid, payload: number): number {
    const before = this.zxid(parent);
    const isNext =
      zxid.epoch === before.epoch
        ? zxid.counter === before.counter + 1
        : zxid.epoch > before.epoch && zxid.counter === 1;
    if (!isNext) violate("I6", `${format(zxid)} is stored directly behind ${format(before)}`);
    const key = `${parent} ${zxid.epoch} ${zxid.counter} ${payload}`;
    const known = this.#children.get(key);
    if (known !== undefined) return known;
    const id = this.#nodes.length;
    const change = isChange(payload) ? id : this.change(parent);
    this.#nodes.push({ parent, zxid, payload, depth: this.depth(parent) + 1, change });
    this.#children.set(key, id);
    return id;
  }

  appendBatch(parent: number, batch: Batch): number {
    let id = parent;
    for (const [i, payload] of batch.payloads.entries())
      id = this.append(id, { epoch: batch.epoch, counter: batch.first + i }, payload[0] ?? 0);
    return id;
  }

  /** Whether everything of `a` is in `b`, at the same places. */
  isPrefix(a: number, b: number): boolean {
    const depth = this.depth(a);
    let id = b;
    while (this.depth(id) > depth) id = this.parent(id);
    return id === a;
  }

  /** The longest history that both begin with. */
  common(a: number, b: number): number {
    let id = a;
    while (!this.isPrefix(id, b)) id = this.parent(id);
    return id;
  }

  /** The part of a history through `zxid`; `undefined` when it is not in it. */
  through(id: number, zxid: Zxid): number | undefined {
    let node = id;
    while (compareZxid(this.zxid(node), zxid) > 0) node = this.parent(node);
    return compareZxid(this.zxid(node), zxid) === 0 ? node : undefined;
  }

  /** The part below an epoch. */
  below(id: number, epoch: number): number {
    let node = id;
    while (this.zxid(node).epoch >= epoch) node = this.parent(node);
    return node;
  }

  /** The txns of `id` that are not in its prefix `after`, oldest first. */
  since(id: number, after: number): number[] {
    const path: number[] = [];
    for (let node = id; node !== after; node = this.parent(node)) path.unshift(node);
    return path;
  }

  /** What a peer reads directly behind `after`: txns of one epoch. */
  batchAfter(id: number, after: Zxid, bytesMax: number): Batch | undefined {
    const path = this.since(id, EMPTY).filter((node) => compareZxid(this.zxid(node), after) > 0);
    const [first] = path;
    if (first === undefined) return undefined;
    const { epoch, counter } = this.zxid(first);
    const same = path.filter((node) => this.zxid(node).epoch === epoch).slice(0, Math.max(1, bytesMax));
    return { epoch, first: counter, payloads: same.map((node) => Uint8Array.of(this.#node(node).payload)) };
  }

  /** A history on top of a base, as members report it. */
  outline(id: number, base: Zxid): Outline {
    const runs: { epoch: number; last: number }[] = [];
    for (const node of this.since(id, EMPTY)) {
      const { epoch, counter } = this.zxid(node);
      if (compareZxid({ epoch, counter }, base) <= 0) continue;
      const run = runs.at(-1);
      if (run?.epoch === epoch) run.last = counter;
      else runs.push({ epoch, last: counter });
    }
    return { base, runs };
  }

  /** A page of a snapshot: its number, and the whole history as the state. */
  writePage(id: number, page: number): Uint8Array {
    const words = this.since(id, EMPTY).flatMap((node) => {
      const { zxid, payload } = this.#node(node);
      return [zxid.epoch, zxid.counter, payload];
    });
    return Uint8Array.from([page, ...words]);
  }

  readPage(bytes: Uint8Array): number {
    let id = EMPTY;
    for (let i = 1; i + 2 < bytes.length; i += 3)
      id = this.append(id, { epoch: bytes[i] ?? 0, counter: bytes[i + 1] ?? 0 }, bytes[i + 2] ?? 0);
    return id;
  }

  #name(node: number): string {
    const { payload } = this.#node(node);
    const change = this.#configurations.changeOf(payload);
    return change === undefined ? `#${payload}` : `:${change.name}`;
  }

  describe(id: number): string {
    const txns = this.since(id, EMPTY).map((node) => `${format(this.zxid(node))}${this.#name(node)}`);
    return txns.length === 0 ? "empty" : txns.join(" ");
  }
}

/** Of a configuration with its version, as packets and messages name it. */
export function configName({ version, members }: Config): string {
  return `${format(version)}:${nameOf(members)}`;
}

export function format({ epoch, counter }: Zxid): string {
  return `(${epoch},${counter})`;
}
