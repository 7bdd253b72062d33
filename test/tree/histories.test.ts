/**
 * Histories that broke other implementations, as far as the tree alone answers for them.
 *
 * Rows are those of `docs/internals/histories.md`. What a tree holds is compared as a whole, with one that
 * got the same txns undisturbed.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { CreateMode, compareZxid, OpCode } from "../../src/base/index.ts";
import { encodeTxn } from "../../src/jute/index.ts";
import { Tree } from "../../src/tree/index.ts";
import {
  bobOnly,
  bytes,
  check,
  checkInvariants,
  create,
  dump,
  Member,
  multi,
  options,
  remove,
  setAcl,
  setData,
  verdict,
} from "./support.ts";

const ephemeral = { flags: CreateMode.Ephemeral };

/** What is hard to replay over a state that is partly newer: each write depends on what stood there. */
function liveADifficultLife(member: Member, between: () => void): void {
  const session = member.open(7n);
  const other = member.open(8n);
  const writes = [
    () => member.must(create("/parent")),
    () => member.must(create("/parent/e", ephemeral), { session }),
    () => member.must(create("/parent/s-", { flags: CreateMode.EphemeralSequential }), { session }),
    () => member.must(create("/parent/kept", { data: bytes("old") })),
    () => member.must(remove("/parent/e"), { session }),
    // The same path again, of another owner: closing the first session must spare it.
    () => member.must(create("/parent/e", ephemeral), { session: other }),
    () => member.must(remove("/parent/kept")),
    () => member.must(create("/parent/kept", { data: bytes("new") })),
    () => member.must(setData("/parent/kept", bytes("newer"))),
    () => member.must(setAcl("/parent", bobOnly)),
    () => member.must(multi(create("/m"), create("/m/x"), setData("/m", bytes("1")), remove("/m/x"))),
    () => member.must(multi(check("/m", 1), create("/m/y"))),
    () => member.write(multi(create("/m/z"), check("/m", 9))),
    () => member.close(session),
    () => member.must(create("/after")),
  ];
  between();
  for (const write of writes) {
    write();
    between();
  }
}

describe("histories: rows 36 and 37: what is stored is the state at one zxid", () => {
  const undisturbed = new Member();
  let moments = 0;
  liveADifficultLife(undisturbed, () => {
    moments += 1;
  });

  test.each(Array.from({ length: moments }, (_, at) => [at]))("with a checkpoint after write %i", (at) => {
    const member = new Member();
    let moment = 0;
    liveADifficultLife(member, () => {
      if (moment === at) member.tree.checkpoint();
      moment += 1;
    });
    // Memory goes: a new tree over the rows, and the txns above what they say they hold.
    const again = new Tree(member.rows, options);
    expect(again.applied).toEqual(member.rows.applied);
    for (const { zxid, txn } of member.log) {
      if (compareZxid(zxid, again.applied) > 0) again.apply(zxid, txn);
    }
    checkInvariants(again);
    expect(dump(again)).toEqual(dump(undisturbed.tree));
  });
});

describe("histories: row 40: a session with as many ephemerals as it may have", () => {
  /** A row of SQLite holds 2 MB. */
  const rowBytesMax = 2_000_000;

  test.each([
    ["long names of three bytes a character", (at: number) => `/${"한".repeat(2_000)}${at}`],
    ["short names", (at: number) => `/한${at}`],
  ])("of %s can be closed: the limit is enforced when they are made", (_name, pathOf) => {
    const member = new Member();
    const session = member.open(7n);
    let made = 0;
    for (; ; made++) {
      const outcome = verdict(member.write(create(pathOf(made), ephemeral), { session }));
      if (outcome === "QuotaExceeded") break;
      expect(outcome).toBe("Ok");
      expect(made).toBeLessThan(200_000);
    }
    expect(made).toBeGreaterThan(200);
    const closing = member.prepare({ type: OpCode.CloseSession }, { session });
    expect(encodeTxn(closing).length).toBeLessThan(rowBytesMax);
    member.apply(closing);
    expect(member.tree.hasSession(session)).toBe(false);
    expect(member.tree.children("/", undefined, 10)).toEqual(["zookeeper"]);
    checkInvariants(member.tree);
  });
});
