/**
 * Proves that a multi's lock check holds for the one contender that holds the lock and that the token's txn
 * created, as of the multi's place in the order: whatever is in flight before it counts.
 */

import { describe, expect, test } from "vitest";
import {
  CreateMode,
  lockChecksMax,
  makeZxid,
  OPEN_ACL,
  OpCode,
  type SessionId,
  type Zxid,
} from "../../src/base/index.ts";
import {
  bob,
  bobOnly,
  checkLock,
  create,
  eve,
  Member,
  multi,
  partCodes,
  remove,
  setData,
  type Who,
} from "./support.ts";

const flags = CreateMode.EphemeralSequential;

/** A lock at `/l` with a queue of the names given; answers the contenders' tokens. */
function locked(...names: readonly string[]): {
  readonly member: Member;
  readonly session: SessionId;
  readonly tokens: readonly Zxid[];
} {
  const member = new Member();
  member.must(create("/l"));
  member.must(create("/x"));
  const session = member.open(1n);
  const tokens = names.map((name) => {
    member.must(create(`/l/${name}`, { flags }), { session });
    return member.tree.applied;
  });
  return { member, session, tokens };
}

/** What a multi under the lock comes to. */
function under(member: Member, token: Zxid | undefined, who?: Who): string[] | undefined {
  if (token === undefined) throw new Error("no such contender");
  return partCodes(member.write(multi(checkLock("/l", token), setData("/x")), who));
}

const held = ["checked", "dataSet"];
const notHeld = ["NoNode", "RuntimeInconsistency"];

describe("check-lock", () => {
  test.each([
    ["the first of exclusive ones", ["a__lock__", "b__lock__"], [held, notHeld]],
    [
      "shared ones before the first exclusive one",
      ["a__rlock__", "b__rlock__", "c__lock__", "d__rlock__"],
      [held, held, notHeld, notHeld],
    ],
    ["an exclusive one before shared ones", ["a__lock__", "b__rlock__"], [held, notHeld]],
    ["no child that is no contender", ["a", "b__lock__"], [notHeld, held]],
  ])("holds for %s", (_, names, wanted) => {
    const { member, tokens } = locked(...names);
    expect(tokens.map((token) => under(member, token))).toEqual(wanted);
  });

  test("does not hold for a token of nobody, of a lock that nobody holds, or of a lock that is not there", () => {
    const { member } = locked();
    expect(under(member, makeZxid(1, 1))).toEqual(notHeld);
    const elsewhere = multi(checkLock("/missing", makeZxid(1, 1)), setData("/x"));
    expect(partCodes(member.write(elsewhere))).toEqual(notHeld);
  });

  test("does not hold for a contender that was made anew under the same name", () => {
    const { member, session, tokens } = locked("a__lock__");
    member.must(remove("/l/a__lock__0000000000"));
    member.must(create("/l/a__lock__0000000000", { flags: CreateMode.Ephemeral }), { session });
    expect(under(member, tokens[0])).toEqual(notHeld);
    expect(under(member, member.stat("/l/a__lock__0000000000").czxid)).toEqual(held);
  });

  test("is decided behind what is in flight: a release, a session's end, a write to the contender, one in front", () => {
    const cases = [
      { before: remove("/l/a__lock__0000000001"), kind: "failedMulti" },
      { before: { type: OpCode.CloseSession } as const, kind: "failedMulti" },
      { before: setData("/l/a__lock__0000000001"), kind: "multi" },
      { before: create("/l/b__rlock__0000000000"), kind: "failedMulti" },
    ];
    for (const { before, kind } of cases) {
      const { member, session, tokens } = locked("no contender", "a__lock__");
      const who = before.type === OpCode.CloseSession ? { session } : {};
      const earlier = member.prepare(before, who);
      const txn = member.prepare(multi(checkLock("/l", tokens[1] ?? makeZxid(1, 1)), setData("/x")));
      member.apply(earlier);
      member.apply(txn);
      expect(txn.op.kind, String(before.type)).toBe(kind);
    }
  });

  test("holds for the next one as soon as the release in front of it is in flight", () => {
    const { member, tokens } = locked("a__lock__", "b__lock__");
    const release = member.prepare(remove("/l/a__lock__0000000000"));
    const txn = member.prepare(multi(checkLock("/l", tokens[1] ?? makeZxid(1, 1)), setData("/x")));
    member.apply(release);
    member.apply(txn);
    expect(txn.op).toMatchObject({
      kind: "multi",
      ops: [{ kind: "check", path: "/l/b__lock__0000000001" }, { kind: "setData" }],
    });
  });

  test("sees what earlier parts did, and nobody knows the token of a contender that is in flight", () => {
    const { member, session, tokens } = locked("a__lock__");
    const [token = makeZxid(1, 1)] = tokens;
    const released = multi(remove("/l/a__lock__0000000000"), checkLock("/l", token));
    expect(partCodes(member.write(released))).toEqual(["Ok", "NoNode"]);
    member.must(remove("/l/a__lock__0000000000"));
    const next = makeZxid(1, member.tree.applied.counter + 1);
    const own = multi(create("/l/b__lock__", { flags }), checkLock("/l", next));
    expect(partCodes(member.write(own, { session }))).toEqual(["Ok", "NoNode"]);
  });

  test("is for those who may read the lock and its holder", () => {
    const { member, session } = locked();
    for (const [path, lockAcl, acl] of [
      ["/m", bobOnly, OPEN_ACL],
      ["/n", OPEN_ACL, bobOnly],
    ] as const) {
      member.must(create(path, { acl: lockAcl }));
      member.must(create(`${path}/a__lock__`, { flags, acl }), { session, identities: [bob] });
      const token = member.tree.applied;
      expect(partCodes(member.write(multi(checkLock(path, token)), { identities: [bob] }))).toEqual([
        "checked",
      ]);
      expect(partCodes(member.write(multi(checkLock(path, token)), { identities: [eve] }))).toEqual([
        "NoAuth",
      ]);
      const wrong = multi(checkLock(path, makeZxid(1, 1)));
      expect(partCodes(member.write(wrong, { identities: [eve] }))).toEqual(["NoAuth"]);
    }
  });

  test("refuses a path that no znode can have, and an expired session", () => {
    const { member, session, tokens } = locked("a__lock__");
    const [token = makeZxid(1, 1)] = tokens;
    expect(partCodes(member.write(multi(checkLock("l", token))))).toEqual(["BadArguments"]);
    member.close(session);
    expect(partCodes(member.write(multi(checkLock("/l", token)), { session }))).toEqual(["SessionExpired"]);
  });

  test("comes as often in a multi as it may; once more and the multi is refused", () => {
    const { member, tokens } = locked("a__lock__");
    const [token = makeZxid(1, 1)] = tokens;
    const checks = (length: number) => multi(...Array.from({ length }, () => checkLock("/l", token)));
    expect(partCodes(member.write(checks(lockChecksMax)))).toHaveLength(lockChecksMax);
    expect(member.write(checks(lockChecksMax + 1)).err).toBe(-8);
  });
});
