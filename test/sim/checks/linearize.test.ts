/**
 * Proves the linearizability checker: on known good and bad histories, on good ones spoiled on purpose,
 * and against brute force (every order of every subset) on thousands of random small histories.
 */

import { describe, expect, it } from "vitest";
import { type Chooser, oneOf, RandomChooser, Stream } from "../choose.ts";
import { type HistoryOp, linearize, type Outcome, type RegisterOp } from "./linearize.ts";

const done = (version: number): Outcome => ({ kind: "done", version });
const refusal: Outcome = { kind: "refused" };
const read = (value: number, version: number): RegisterOp => ({ kind: "read", value, version });
const create = (value: number): RegisterOp => ({ kind: "create", value, outcome: done(0) });
const set = (value: number, version: number, wanted = -1): RegisterOp => ({
  kind: "set",
  value,
  wanted,
  outcome: done(version),
});
const refused = (value: number, wanted: number): RegisterOp => ({
  kind: "set",
  value,
  wanted,
  outcome: refusal,
});
const unknown = (value: number, wanted = -1): RegisterOp => ({
  kind: "set",
  value,
  wanted,
  outcome: undefined,
});
const maybeCreated = (value: number): RegisterOp => ({ kind: "create", value, outcome: undefined });
const removed: RegisterOp = { kind: "remove", wanted: -1, outcome: done(-1) };

let ids = 0;
const at = (invokedAt: number, returnedAt: number | undefined, op: RegisterOp): HistoryOp => ({
  id: ids++,
  invokedAt,
  returnedAt,
  op,
});

const good: Readonly<Record<string, readonly HistoryOp[]>> = {
  "nothing happened": [],
  "create, then read": [at(0, 1, create(1)), at(2, 3, read(1, 0))],
  "two concurrent writes, read in one order": [
    at(0, 1, create(1)),
    at(2, 9, set(2, 1)),
    at(2, 9, set(3, 2)),
    at(10, 11, read(3, 2)),
  ],
  "an unknown create surfaces late": [
    at(0, undefined, maybeCreated(1)),
    at(1, 2, read(0, -1)),
    at(3, 4, read(0, -1)),
    at(5, 6, read(1, 0)),
  ],
  "an unknown create never surfaces": [
    at(0, undefined, maybeCreated(1)),
    at(1, 2, create(2)),
    at(3, 4, read(2, 0)),
  ],
  "a refused compare-and-set changes nothing": [
    at(0, 1, create(1)),
    at(2, 3, refused(2, 7)),
    at(4, 5, read(1, 0)),
  ],
  "a compare-and-set of the version just read": [
    at(0, 1, create(1)),
    at(2, 3, set(2, 1, 0)),
    at(4, 5, read(2, 1)),
  ],
  "a removed node starts again at version 0": [
    at(0, 1, create(1)),
    at(2, 3, removed),
    at(4, 5, read(0, -1)),
    at(6, 7, create(2)),
  ],
};

const bad: Readonly<Record<string, readonly HistoryOp[]>> = {
  "a stale read": [at(0, 1, create(1)), at(2, 3, set(2, 1)), at(4, 5, read(1, 0))],
  "a lost update": [at(0, 1, create(1)), at(2, 3, set(2, 1, 0)), at(2, 3, set(3, 1, 0))],
  "a reader that goes back in time": [
    at(0, undefined, maybeCreated(1)),
    at(1, 2, read(1, 0)),
    at(3, 4, read(0, -1)),
  ],
  "a retried write that ran twice": [at(0, 1, create(1)), at(2, 3, set(2, 1)), at(4, 5, read(2, 2))],
  "a value nobody wrote": [at(0, 1, create(1)), at(2, 3, read(9, 0))],
  "two creators of one node": [at(0, 20, create(1)), at(0, 20, create(2))],
  "two readers see two concurrent writes in both orders": [
    at(0, 1, create(1)),
    at(2, 20, set(2, 1)),
    at(2, 20, set(3, 2)),
    at(3, 4, read(3, 2)),
    at(5, 6, read(2, 1)),
  ],
  "a refused write surfaces": [at(0, 1, create(1)), at(2, 3, refused(2, 5)), at(4, 5, read(2, 1))],
  "an acknowledged write is gone": [at(0, 1, create(1)), at(2, 3, read(0, -1))],
  "two winners of one compare-and-set": [
    at(0, 9, create(1)),
    at(10, 11, set(2, 1, 0)),
    at(10, 11, set(3, 1, 0)),
  ],
};

describe("linearize()", () => {
  for (const [name, history] of Object.entries(good)) {
    it(`accepts: ${name}`, () => expect(linearize(history).kind).toBe("linearizable"));
  }
  for (const [name, history] of Object.entries(bad)) {
    it(`refuses: ${name}`, () => expect(linearize(history).kind).toBe("violated"));
  }

  it("agrees with brute force on random histories of up to six operations", () => {
    const kinds = { linearizable: 0, violated: 0, undecided: 0 };
    for (let seed = 0; seed < 6000; seed++) {
      const history = randomHistory(new RandomChooser(seed));
      const verdict = linearize(history).kind;
      expect(`${seed} ${verdict}`).toBe(`${seed} ${bruteForce(history) ? "linearizable" : "violated"}`);
      kinds[verdict]++;
    }
    // Both answers have to be common, or the comparison says little.
    expect(kinds.linearizable).toBeGreaterThan(500);
    expect(kinds.violated).toBeGreaterThan(500);
  });

  it("decides long histories of ten clients quickly", () => {
    expect(linearize(simulated(new RandomChooser(5), 600)).kind).toBe("linearizable");
  });

  it("refuses good histories after one answer was changed", () => {
    let refusals = 0;
    for (let seed = 0; seed < 200; seed++) {
      const history = [...simulated(new RandomChooser(seed), 40)];
      const spoiled = history.findLastIndex((entry) => entry.op.kind === "read" && entry.op.version > 0);
      const entry = history[spoiled];
      if (entry?.op.kind !== "read") continue;
      history[spoiled] = { ...entry, op: { ...entry.op, version: entry.op.version + 1_000 } };
      expect(linearize(history).kind).toBe("violated");
      refusals++;
    }
    expect(refusals).toBeGreaterThan(100);
  });
});

/** A register that answers at a moment between call and return: linearizable by construction. */
function simulated(chooser: Chooser, count: number): readonly HistoryOp[] {
  let value = 0;
  let version = -1;
  let clock = 0;
  const history: HistoryOp[] = [];
  const busyUntil = new Array<number>(10).fill(0);
  for (let id = 1; id <= count; id++) {
    clock += chooser.choose(4, Stream.Work);
    const client = id % busyUntil.length;
    const invokedAt = Math.max(busyUntil[client] ?? 0, clock - chooser.choose(30, Stream.Work));
    const returnedAt = Math.max(clock, invokedAt) + chooser.choose(30, Stream.Work);
    // Effects happen in order of `clock`; a call may not begin after its own.
    if (invokedAt > clock) continue;
    busyUntil[client] = returnedAt + 1;
    if (chooser.choose(2, Stream.Work) === 0) {
      history.push({ id, invokedAt, returnedAt, op: read(value, version) });
    } else {
      value = id;
      version++;
      const lost = chooser.choose(8, Stream.Work) === 7;
      const op = version === 0 ? create(id) : lost ? unknown(id) : set(id, version);
      history.push({ id, invokedAt, returnedAt: version > 0 && lost ? undefined : returnedAt, op });
    }
  }
  return history;
}

function randomHistory(chooser: Chooser): readonly HistoryOp[] {
  const size = 1 + chooser.choose(6, Stream.Work);
  const history: HistoryOp[] = [];
  for (let id = 0; id < size; id++) {
    const invokedAt = chooser.choose(12, Stream.Work);
    const open = chooser.choose(5, Stream.Work) === 4;
    const op = randomOp(chooser, id + 1, open);
    const returnedAt =
      open && op.kind !== "read" ? undefined : invokedAt + 1 + chooser.choose(8, Stream.Work);
    history.push({ id, invokedAt, returnedAt, op });
  }
  return history;
}

function randomOp(chooser: Chooser, id: number, open: boolean): RegisterOp {
  const version = chooser.choose(3, Stream.Work);
  switch (oneOf(chooser, ["create", "set", "cas", "read", "refused", "remove"], Stream.Work)) {
    case "create":
      return open ? maybeCreated(id) : create(id);
    case "set":
      return open ? unknown(id) : set(id, 1 + version);
    case "cas":
      return open ? unknown(id, version) : set(id, version + 1, version);
    case "refused":
      return open ? unknown(id, version) : refused(id, version);
    case "remove":
      return open ? { kind: "remove", wanted: -1, outcome: undefined } : removed;
    default:
      return version === 0 ? read(0, -1) : read(1 + chooser.choose(4, Stream.Work), version - 1);
  }
}

/** Tries every order that respects real time; written apart from the search it judges. */
function bruteForce(history: readonly HistoryOp[]): boolean {
  const go = (left: readonly HistoryOp[], value: number, version: number): boolean => {
    if (left.every((entry) => entry.returnedAt === undefined)) return true;
    const horizon = Math.min(...left.map((entry) => entry.returnedAt ?? Number.POSITIVE_INFINITY));
    return left.some((entry) => {
      if (entry.invokedAt > horizon) return false;
      const rest = left.filter((other) => other !== entry);
      const { op } = entry;
      if (op.kind === "read") return op.value === value && op.version === version && go(rest, value, version);
      const possible =
        op.kind === "create" ? version < 0 : version >= 0 && (op.wanted === -1 || op.wanted === version);
      if (!possible) return op.outcome?.kind !== "done" && go(rest, value, version);
      if (op.outcome?.kind === "refused") return false;
      const after = op.kind === "create" ? 0 : op.kind === "remove" ? -1 : version + 1;
      if (op.outcome !== undefined && op.outcome.version !== after) return false;
      return go(rest, op.kind === "remove" ? 0 : op.value, after);
    });
  };
  return go(history, 0, -1);
}
