/**
 * Proves how writes become batches, in which order writers are told, and what a lost leadership tells them.
 *
 * A real tree and pipeline; the test plays the ensemble that agrees to one batch at a time.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionFailure, type WriteRequest, ZkErrorCode } from "../../src/base/index.ts";
import {
  companyMsMax,
  gatherMsMax,
  outstandingBytesMax,
  outstandingMax,
  type Settlement,
} from "../../src/objects/writes.ts";
import { create, setData } from "../tree/support.ts";
import { Leader } from "./support/leader.ts";

const fails: WriteRequest = setData("/none");

function kinds(...settled: Settlement[][]): string[] {
  return settled.map(([first]) => first?.kind ?? "waiting");
}

describe("a write", () => {
  test("alone is proposed when its turn ends, and told when it has applied", () => {
    const leader = new Leader();
    const settled = leader.submit(create("/a"));
    expect(leader.batches).toEqual([]);
    leader.writes.flush();
    expect([leader.batches, kinds(settled), leader.writes.outstanding]).toEqual([[1], ["waiting"], 1]);
    leader.agree();
    expect(settled).toMatchObject([{ kind: "applied", zxid: { epoch: 1, counter: 1 } }]);
    expect(leader.writes.outstanding).toBe(0);
  });

  test("that is refused is proposed, takes a zxid and is told like any other", () => {
    const leader = new Leader();
    const settled = [leader.submit(setData("/none")), leader.submit(create("/a"))];
    leader.writes.flush();
    leader.agree();
    expect(settled.flat()).toMatchObject([
      { zxid: { counter: 1 }, applied: { outcome: { kind: "refused", code: ZkErrorCode.NoNode } } },
      { zxid: { counter: 2 }, applied: { outcome: { kind: "done" } } },
    ]);
  });

  test("sees the writes before it that are still under way", () => {
    const leader = new Leader();
    leader.submit(create("/a"));
    leader.writes.flush();
    const settled = leader.submit(create("/a/b"));
    leader.writes.flush();
    leader.settle();
    expect(settled).toMatchObject([{ applied: { outcome: { kind: "done" } } }]);
  });

  test("of a member that does not lead is a bug", () => {
    const leader = new Leader();
    leader.writes.close();
    expect(leader.writes.isOpen).toBe(false);
    expect(() => leader.submit(create("/a"))).toThrow(AssertionFailure);
  });
});

describe("a batch", () => {
  test("holds what a turn gathered", () => {
    const leader = new Leader();
    for (let i = 0; i < 5; i++) leader.submit(fails);
    leader.writes.flush();
    expect(leader.batches).toEqual([5]);
    leader.writes.flush();
    expect(leader.batches).toEqual([5]);
  });

  test("gathers while one is under way, and goes when that has applied", () => {
    const leader = new Leader();
    for (let i = 0; i < 6; i++) {
      leader.submit(fails);
      leader.writes.flush();
    }
    expect(leader.batches).toEqual([1]);
    leader.agree();
    expect(leader.batches).toEqual([1]);
    leader.submit(fails);
    leader.writes.flush();
    expect(leader.batches).toEqual([1, 6]);
  });

  test("goes beside one that has been under way for gatherMsMax, but not as a third", () => {
    const leader = new Leader();
    leader.submit(fails);
    leader.writes.flush();
    leader.submit(fails);
    leader.nowMs += gatherMsMax - 1;
    leader.writes.flush();
    expect(leader.batches).toEqual([1]);
    leader.nowMs += 1;
    leader.writes.flush();
    expect(leader.batches).toEqual([1, 1]);
    leader.submit(fails);
    leader.nowMs += gatherMsMax;
    leader.writes.flush();
    expect(leader.batches).toEqual([1, 1]);
    leader.agree();
    leader.settle();
    expect(leader.batches).toEqual([1, 1, 1]);
  });

  test("is under way until its last txn has applied", () => {
    let half: number[] | undefined;
    const leader = new Leader({
      applied: ({ counter }) => {
        if (counter !== 2) return;
        leader.writes.flush();
        half = [...leader.batches];
      },
    });
    for (let i = 0; i < 3; i++) leader.submit(fails);
    leader.writes.flush();
    for (let i = 0; i < 3; i++) leader.submit(fails);
    leader.agree();
    expect(half).toEqual([3]);
    leader.settle();
    expect(leader.batches).toEqual([3, 3]);
  });

  test("closes at 512 KiB at once, however many are under way", () => {
    const leader = new Leader();
    const big = create("/none/x", { data: new Uint8Array(0) });
    leader.submit(create("/a"));
    leader.writes.flush();
    for (let i = 0; i < 12; i++) leader.submit(setData("/a", new Uint8Array(128 * 1024)));
    leader.submit(big);
    expect(leader.batches).toEqual([1, 4, 4, 4]);
    leader.writes.flush();
    expect(leader.batches).toEqual([1, 4, 4, 4]);
    leader.settle();
    expect(leader.batches).toEqual([1, 4, 4, 4, 1]);
  });

  test("may be one txn that is larger", () => {
    const leader = new Leader();
    leader.submit(create("/a", { data: new Uint8Array(1_000_000) }));
    leader.submit(create("/b"));
    leader.settle();
    expect(leader.batches).toEqual([1, 1]);
  });
});

describe("company", () => {
  /** As many writers as a batch has, all told. */
  function tell(leader: Leader, writers: number): void {
    for (let i = 0; i < writers; i++) leader.submit(fails);
    leader.settle();
  }

  test("is not awaited by one write behind one", () => {
    const leader = new Leader();
    tell(leader, 1);
    leader.submit(fails);
    leader.writes.flush();
    expect([leader.batches, leader.timers.size]).toEqual([[1, 1], 0]);
  });

  test("is complete with as many as were told together", () => {
    const leader = new Leader();
    tell(leader, 3);
    for (let i = 0; i < 2; i++) {
      leader.submit(fails);
      leader.writes.flush();
    }
    expect(leader.batches).toEqual([3]);
    leader.submit(fails);
    leader.writes.flush();
    expect([leader.batches, leader.timers.size]).toEqual([[3, 3], 0]);
  });

  test("counts those that waited while the others were told", () => {
    const leader = new Leader();
    leader.submit(fails);
    leader.writes.flush();
    leader.submit(fails);
    leader.writes.flush();
    leader.agree();
    leader.writes.flush();
    expect(leader.batches).toEqual([1]);
    leader.submit(fails);
    leader.writes.flush();
    expect(leader.batches).toEqual([1, 2]);
  });

  test("is awaited for companyMsMax, and who does not come is not awaited again", () => {
    const leader = new Leader();
    tell(leader, 3);
    leader.submit(fails);
    leader.writes.flush();
    expect([leader.batches, [...leader.timers].map(({ ms }) => ms)]).toEqual([[3], [companyMsMax]]);
    leader.elapse();
    expect(leader.batches).toEqual([3, 1]);
    leader.agree();
    leader.submit(fails);
    leader.writes.flush();
    expect([leader.batches, leader.timers.size]).toEqual([[3, 1, 1], 0]);
  });

  test("is not awaited any more once leadership is lost", () => {
    const leader = new Leader();
    tell(leader, 3);
    const settled = leader.submit(fails);
    leader.writes.flush();
    leader.writes.close();
    expect([leader.timers.size, kinds(settled)]).toEqual([0, ["lost"]]);
  });
});

test("writers are told once, in the order they wrote, whatever the turns (property)", () => {
  const act = fc.constantFrom("write", "write", "write", "flush", "agree", "elapse");
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.boolean(), (acts, isLone) => {
      const leader = new Leader({ isLone });
      const told: number[] = [];
      let writes = 0;
      for (const done of acts) {
        if (done === "write") {
          const number = writes++;
          leader.submit(fails, { settle: () => told.push(number) });
        } else if (done === "flush") leader.writes.flush();
        else if (done === "agree") leader.agree();
        else leader.elapse();
      }
      leader.settle();
      expect(leader.timers.size).toBe(0);
      expect(told).toEqual(Array.from({ length: writes }, (_, i) => i));
      expect([leader.writes.outstanding, leader.tree.outstandingCount]).toEqual([0, 0]);
      expect(leader.batches.reduce((sum, size) => sum + size, 0)).toBe(writes);
    }),
  );
});

describe("close()", () => {
  test("tells every writer `lost`, in order, also of what was only gathered", () => {
    const leader = new Leader();
    const told: string[] = [];
    const submit = (name: string) =>
      leader.submit(create(`/${name}`), { settle: ({ kind }) => told.push(`${name} ${kind}`) });
    submit("a");
    leader.writes.flush();
    leader.agree();
    for (const name of ["b", "c", "d"]) {
      submit(name);
      leader.writes.flush();
    }
    leader.writes.close();
    expect(told).toEqual(["a applied", "b lost", "c lost", "d lost"]);
    leader.writes.flush();
    expect([leader.batches, leader.writes.outstanding]).toEqual([[1, 1], 0]);
  });

  test("forgets what was prepared: a new reign decides on what has applied", () => {
    const leader = new Leader();
    leader.submit(create("/a"));
    leader.writes.close();
    leader.writes.open();
    const settled = leader.submit(create("/a/b"));
    leader.writes.flush();
    leader.agree();
    expect(settled).toMatchObject([{ applied: { outcome: { kind: "refused", code: ZkErrorCode.NoNode } } }]);
  });

  test("then what applies belongs to nobody here", () => {
    const leader = new Leader();
    const settled = leader.submit(create("/a"));
    leader.writes.flush();
    leader.writes.close();
    leader.agree();
    expect(kinds(settled)).toEqual(["lost"]);
    expect(leader.tree.get("/a")).toBeDefined();
    leader.writes.open();
    expect(leader.writes.hasRoom).toBe(true);
  });

  test("lets a writer who hears `lost` look, but not write", () => {
    const leader = new Leader();
    let isOpen: boolean | undefined;
    leader.submit(create("/a"), {
      settle: () => {
        isOpen = leader.writes.isOpen;
      },
    });
    leader.writes.close();
    expect(isOpen).toBe(false);
  });

  test("makes open() with writers waiting impossible", () => {
    const leader = new Leader();
    leader.submit(fails);
    expect(() => leader.writes.open()).toThrow(AssertionFailure);
  });
});

describe("hasRoom", () => {
  test("ends at outstandingMax txns, and comes back with the first that applies", () => {
    const leader = new Leader();
    for (let i = 0; i < outstandingMax - 1; i++) leader.submit(fails);
    expect(leader.writes.hasRoom).toBe(true);
    leader.submit(fails);
    expect([leader.writes.hasRoom, leader.writes.outstanding]).toEqual([false, outstandingMax]);
    leader.settle();
    expect([leader.writes.hasRoom, leader.writes.outstanding]).toEqual([true, 0]);
  });

  test("ends at outstandingBytesMax, and comes back when they have applied", () => {
    const leader = new Leader();
    leader.submit(create("/a"));
    const each = 1024 * 1024;
    for (let bytes = 0; bytes + each < outstandingBytesMax; bytes += each)
      leader.submit(setData("/a", new Uint8Array(each)));
    expect(leader.writes.hasRoom).toBe(true);
    leader.submit(setData("/a", new Uint8Array(each)));
    expect(leader.writes.hasRoom).toBe(false);
    leader.settle();
    expect(leader.writes.hasRoom).toBe(true);
  });
});

describe("a lone voter, which applies while it proposes,", () => {
  test("takes what its writers submit from there into the next batch", () => {
    const leader = new Leader({ isLone: true });
    const told: string[] = [];
    const submit = (name: string, then: () => void) =>
      leader.submit(create(`/${name}`), {
        settle: () => {
          told.push(name);
          then();
        },
      });
    submit("a", () => submit("c", () => submit("d", () => undefined)));
    submit("b", () => undefined);
    leader.settle();
    expect([told, leader.batches]).toEqual([
      ["a", "b", "c", "d"],
      [2, 1, 1],
    ]);
  });

  test("does not propose within a proposal, even when a batch is full", () => {
    const leader = new Leader({ isLone: true });
    const full = setData("/a", new Uint8Array(600 * 1024));
    let during: number[] | undefined;
    leader.submit(create("/a"), {
      settle: () => {
        leader.submit(full);
        leader.submit(full);
        during = [...leader.batches];
      },
    });
    leader.writes.flush();
    expect([during, leader.batches, leader.writes.outstanding]).toEqual([[1], [1, 2], 0]);
  });
});
