/**
 * Checkpoints: how the tree's changes reach its rows without making anybody wait for long.
 *
 * What a slice can hold is written at once. More than that is noted down first, slice by slice, as a draft:
 * the changes as they were when the checkpoint began, a few hundred to a row. Once the draft is complete,
 * rows and draft are the new state, and it is carried into the rows, again slice by slice. In between the
 * tree goes on, and a member may lose its memory: half a draft is dropped, a complete one is carried in.
 *
 * Invariant: rows change only together with the page of the draft that says so, so at any moment the rows
 * and what is left of a complete draft are one state.
 *
 * @module
 */

import { assert, type Session, type SessionId, type Znode, type Zxid } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { Part } from "./row-codec.ts";
import type { SqlTreeRows } from "./sql/znodes.ts";

/** What one slice writes. */
export interface SliceBounds {
  readonly rows: number;
  /** Of data and paths; the last znode may pass it. */
  readonly bytes: number;
}

/** About 5 ms of work. With a last znode of the largest size, a page of the draft still fits a row of 2 MB. */
export const sliceBounds: SliceBounds = { rows: 512, bytes: 256 * 1024 };

interface Work {
  readonly goal: Zxid;
  readonly znodes: readonly (readonly [string, Znode | undefined])[];
  readonly sessions: readonly (readonly [SessionId, Session | undefined])[];
  /** Where each page of the draft ends, in `znodes` followed by `sessions`. */
  readonly pageEnds: number[];
  /** Pages carried into the rows so far. */
  carried: number;
  stage: "drafting" | "carrying";
}

export class Checkpoints {
  readonly #rows: SqlTreeRows;
  readonly #tree: Tree;
  readonly #bounds: SliceBounds;
  #work: Work | undefined;

  constructor(rows: SqlTreeRows, tree: Tree, bounds = sliceBounds) {
    this.#rows = rows;
    this.#tree = tree;
    this.#bounds = bounds;
  }

  get isUnderWay(): boolean {
    return this.#work !== undefined;
  }

  /** Everything changed until now is to reach the rows. */
  begin(): void {
    assert(this.#work === undefined, "one checkpoint at a time");
    const { applied, znodes, sessions } = this.#tree.freeze();
    this.#work = {
      goal: applied,
      znodes: [...znodes],
      sessions: [...sessions],
      pageEnds: [],
      carried: 0,
      stage: "drafting",
    };
  }

  /** One slice of the checkpoint under way; says whether that was the last. */
  step(): boolean {
    const work = this.#work;
    assert(work !== undefined, "a checkpoint has begun");
    const isDone = work.stage === "drafting" ? this.#draft(work) : this.#carry(work);
    if (isDone) this.#work = undefined;
    return isDone;
  }

  /** What is under way, or all that has changed, at one go. */
  finish(): void {
    if (this.#work === undefined) this.begin();
    while (!this.step());
  }

  /** The rows were replaced underneath, and what was under way with them. */
  abandon(): void {
    this.#work = undefined;
  }

  #draft(work: Work): boolean {
    const from = work.pageEnds.at(-1) ?? 0;
    const to = endOfSlice(work, from, this.#bounds);
    const part = partOf(work, from, to);
    const isLast = to === work.znodes.length + work.sessions.length;
    if (isLast && from === 0) {
      this.#rows.write({ ...part, applied: work.goal });
      this.#tree.settle(part);
      return true;
    }
    this.#rows.draft({ page: work.pageEnds.length, part, goal: work.goal, isLast });
    work.pageEnds.push(to);
    if (isLast) work.stage = "carrying";
    return false;
  }

  #carry(work: Work): boolean {
    const page = work.carried;
    const part = partOf(work, work.pageEnds[page - 1] ?? 0, work.pageEnds[page] ?? 0);
    const isLast = page + 1 === work.pageEnds.length;
    this.#rows.carry({ page, part, isLast });
    this.#tree.settle(part);
    work.carried += 1;
    return isLast;
  }
}

function endOfSlice({ znodes, sessions }: Work, from: number, bounds: SliceBounds): number {
  const rowsEnd = Math.min(from + bounds.rows, znodes.length + sessions.length);
  let bytes = 0;
  for (let at = from; at < rowsEnd; at++) {
    const [path, znode] = znodes[at] ?? ["", undefined];
    bytes += 2 * path.length + (znode?.data?.byteLength ?? 0);
    if (bytes >= bounds.bytes) return at + 1;
  }
  return rowsEnd;
}

function partOf({ znodes, sessions }: Work, from: number, to: number): Part {
  const count = znodes.length;
  return {
    znodes: new Map(znodes.slice(from, Math.min(to, count))),
    sessions: new Map(sessions.slice(Math.max(from - count, 0), Math.max(to - count, 0))),
  };
}
