/**
 * Is a history of reads and writes on one register linearizable?
 *
 * Wing and Gong's search with Lowe's improvements: calls and returns in one doubly linked list; walk from
 * the front, take an operation the model accepts, begin again; at a return whose operation has not been
 * taken, undo. Pairs (operations taken, state) seen before are not tried again, which is what makes it
 * usable. Histories over several znodes are split per znode before they come here: an object's part of a
 * linearizable history is linearizable, and the other way round (Herlihy and Wing).
 *
 * An operation of unknown outcome has no return. It may take effect at any later time or never: "never"
 * needs no case of its own, it equals being taken last.
 *
 * Sources: Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
 * linearizability", 2017; Herlihy and Wing, "Linearizability", 1990.
 *
 * @module
 */

import { mix } from "../choose.ts";

/** What one znode can be asked, with what was answered. `value` 0 and `version` -1: there is none. */
export type RegisterOp =
  | { readonly kind: "create"; readonly value: number; readonly outcome: Outcome | undefined }
  /** `wanted` -1: whatever the version is, but there has to be one. */
  | {
      readonly kind: "set";
      readonly value: number;
      readonly wanted: number;
      readonly outcome: Outcome | undefined;
    }
  | { readonly kind: "remove"; readonly wanted: number; readonly outcome: Outcome | undefined }
  | { readonly kind: "read"; readonly value: number; readonly version: number };

/** What a write was told; `undefined` instead of it when nothing. `version`: afterwards, -1 after a removal. */
export type Outcome = { readonly kind: "done"; readonly version: number } | { readonly kind: "refused" };

export interface HistoryOp {
  readonly id: number;
  readonly invokedAt: number;
  /** `undefined`: unknown outcome, open for ever. */
  readonly returnedAt: number | undefined;
  readonly op: RegisterOp;
}

export type Verdict =
  | { readonly kind: "linearizable" }
  /** `stuck`: the operation that no order could place. */
  | { readonly kind: "violated"; readonly stuck: number; readonly longest: readonly number[] }
  | { readonly kind: "undecided" };

interface State {
  readonly value: number;
  readonly version: number;
}

const nothing: State = { value: 0, version: -1 };

/** The sequential register; `undefined` when it could not have answered so. */
function accept(state: State, op: RegisterOp): State | undefined {
  if (op.kind === "read") return op.value === state.value && op.version === state.version ? state : undefined;
  const next = write(state, op);
  if (op.outcome === undefined) return next ?? state;
  if (op.outcome.kind === "refused") return next === undefined ? state : undefined;
  return next?.version === op.outcome.version ? next : undefined;
}

/** The state after a write, or `undefined` when it is refused. */
function write(state: State, op: Exclude<RegisterOp, { kind: "read" }>): State | undefined {
  const exists = state.version >= 0;
  if (op.kind === "create") return exists ? undefined : { value: op.value, version: 0 };
  if (!exists || (op.wanted !== -1 && op.wanted !== state.version)) return undefined;
  return op.kind === "remove" ? nothing : { value: op.value, version: state.version + 1 };
}

interface Node {
  readonly op: HistoryOp;
  /** `undefined` in a return. */
  readonly match: Node | undefined;
  before: Node | undefined;
  after: Node | undefined;
  readonly place: number;
}

/** The list, behind a head that is no event. Equal times: calls before returns, which assumes less. */
function listOf(history: readonly HistoryOp[]): Node {
  const marks: { time: number; isReturn: boolean; index: number }[] = [];
  history.forEach((op, index) => {
    marks.push({ time: op.invokedAt, isReturn: false, index });
    if (op.returnedAt !== undefined) marks.push({ time: op.returnedAt, isReturn: true, index });
  });
  marks.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn) || a.index - b.index);
  const returns = new Map<number, Node>();
  history.forEach((op, index) => {
    returns.set(index, { op, match: undefined, before: undefined, after: undefined, place: index });
  });
  const dummy: HistoryOp = {
    id: -1,
    invokedAt: 0,
    returnedAt: undefined,
    op: { kind: "read", value: 0, version: -1 },
  };
  const head: Node = { op: dummy, match: undefined, before: undefined, after: undefined, place: -1 };
  let last = head;
  const link = (node: Node): void => {
    last.after = node;
    node.before = last;
    last = node;
  };
  for (const mark of marks) {
    const back = returns.get(mark.index);
    if (back === undefined) continue;
    if (mark.isReturn) link(back);
    else link({ op: back.op, match: back, before: undefined, after: undefined, place: mark.index });
  }
  // Open operations return at the end of time.
  history.forEach((op, index) => {
    const back = returns.get(index);
    if (op.returnedAt === undefined && back !== undefined) link(back);
  });
  return head;
}

function lift(call: Node): void {
  if (call.before !== undefined) call.before.after = call.after;
  if (call.after !== undefined) call.after.before = call.before;
  const back = call.match;
  if (back === undefined) return;
  if (back.before !== undefined) back.before.after = back.after;
  if (back.after !== undefined) back.after.before = back.before;
}

function putBack(call: Node): void {
  const back = call.match;
  if (back !== undefined) {
    if (back.before !== undefined) back.before.after = back;
    if (back.after !== undefined) back.after.before = back;
  }
  if (call.before !== undefined) call.before.after = call;
  if (call.after !== undefined) call.after.before = call;
}

/** What was tried: sets of operations as bits, found by a Zobrist hash, compared exactly. */
class Tried {
  readonly #bits: Uint32Array;
  #hash = 0;
  readonly #seen = new Map<number, { bits: Uint32Array; state: State }[]>();

  constructor(size: number) {
    this.#bits = new Uint32Array((size + 31) >>> 5);
  }

  flip(place: number): void {
    const word = place >>> 5;
    this.#bits[word] = (this.#bits[word] ?? 0) ^ (1 << (place & 31));
    this.#hash ^= mix(0x2b0b7, place, 0);
  }

  /** False when this set with this state was there before. */
  isNew(state: State): boolean {
    const key = mix(this.#hash, state.value, state.version);
    const bucket = this.#seen.get(key);
    if (bucket === undefined) {
      this.#seen.set(key, [{ bits: this.#bits.slice(), state }]);
      return true;
    }
    const known = bucket.some(
      (entry) =>
        entry.state.value === state.value &&
        entry.state.version === state.version &&
        entry.bits.every((word, index) => word === this.#bits[index]),
    );
    if (!known) bucket.push({ bits: this.#bits.slice(), state });
    return !known;
  }
}

/**
 * Searches for an order that explains the history.
 *
 * @param effortMax - Steps of the search before it answers `undecided`.
 */
export function linearize(history: readonly HistoryOp[], effortMax = 2_000_000): Verdict {
  const head = listOf(history);
  const tried = new Tried(history.length);
  const stack: { call: Node; state: State }[] = [];
  let longest: readonly number[] = [];
  let stuck = -1;
  let state = nothing;
  let node = head.after;
  for (let effort = 0; effort < effortMax; effort++) {
    if (node === undefined) return { kind: "linearizable" };
    if (node.match !== undefined) {
      const next = accept(state, node.op.op);
      let taken = false;
      if (next !== undefined) {
        tried.flip(node.place);
        taken = tried.isNew(next);
        if (!taken) tried.flip(node.place);
      }
      if (taken && next !== undefined) {
        stack.push({ call: node, state });
        state = next;
        lift(node);
        node = head.after;
      } else {
        node = node.after;
      }
      continue;
    }
    // A return whose call is still in the list. If only open operations are left, all is explained.
    if (node.op.returnedAt === undefined) return { kind: "linearizable" };
    if (stack.length >= longest.length) {
      longest = stack.map((entry) => entry.call.op.id);
      stuck = node.op.id;
    }
    const undone = stack.pop();
    if (undone === undefined) return { kind: "violated", stuck, longest };
    tried.flip(undone.call.place);
    state = undone.state;
    putBack(undone.call);
    node = undone.call.after;
  }
  return { kind: "undecided" };
}
