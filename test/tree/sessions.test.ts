/**
 * Proves how sessions open and close as txns, and that a close takes along every ephemeral, whatever is
 * still in flight.
 *
 * Source: section 15 of the wire reference.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { CreateMode, makeSessionId, OpCode, type WriteRequest } from "../../src/base/index.ts";
import { ephemeralUnitsMax } from "../../src/tree/prepare.ts";
import { checkInvariants, create, Member, multi, partCodes, remove, setData, verdict } from "./support.ts";

const closing: WriteRequest = { type: OpCode.CloseSession };
const ephemeral = { flags: CreateMode.Ephemeral };

describe("a session", () => {
  test("opens with a txn and may write as soon as that is prepared", () => {
    const member = new Member();
    const session = makeSessionId(-5n);
    expect(verdict(member.write(create("/a"), { session }))).toBe("SessionExpired");
    const opened = member.prepare({ type: OpCode.CreateSession, timeoutMs: 4_000 }, { session });
    const created = member.prepare(create("/a", ephemeral), { session });
    expect(member.tree.hasSession(session)).toBe(false);
    expect(member.tree.isOpen(session)).toBe(true);
    member.apply(opened);
    member.apply(created);
    expect(member.tree.session(session)).toEqual({ id: session, timeoutMs: 4_000, ownership: 1 });
    expect(member.stat("/a").ephemeralOwner).toBe(session);
  });

  test("ends for its requests when its close is prepared, for its ephemerals when that applies", () => {
    const member = new Member();
    const session = member.open(1n);
    member.must(create("/e", ephemeral), { session });
    const close = member.prepare(closing, { session });
    expect([member.tree.isOpen(session), member.tree.hasSession(session)]).toEqual([false, true]);
    const late = [create("/l"), create("/l", ephemeral), remove("/e"), setData("/e"), closing].map(
      (request) => member.prepare(request, { session }).op,
    );
    expect(late).toEqual(new Array(5).fill({ kind: "error", code: -112 }));
    expect(member.prepare(multi(create("/l")), { session }).op).toEqual({
      kind: "failedMulti",
      codes: [-112],
    });
    expect(member.tree.get("/e")).toBeDefined();

    expect(member.apply(close).closedSession).toBe(session);
    expect(member.tree.hasSession(session)).toBe(false);
    expect(member.tree.get("/e")).toBeUndefined();
    checkInvariants(member.tree);
  });

  test("is unknown after its close applied", () => {
    const member = new Member();
    const session = member.open(1n);
    member.close(session);
    expect(verdict(member.write(create("/a"), { session }))).toBe("SessionExpired");
    expect(partCodes(member.write(multi(create("/a")), { session }))).toEqual(["SessionExpired"]);
    expect(verdict(member.close(session))).toBe("SessionExpired");
  });

  test("that never was cannot close, nor can nobody", () => {
    const member = new Member();
    expect(verdict(member.close(makeSessionId(9n)))).toBe("SessionExpired");
    expect(verdict(member.write(closing))).toBe("SessionExpired");
  });

  test("may come back with another timeout", () => {
    const member = new Member();
    member.open(1n, 1_000);
    const session = member.open(1n, 9_000);
    expect([...member.tree.sessions()]).toEqual([{ id: session, timeoutMs: 9_000, ownership: 1 }]);
  });
});

describe("a session's ownership", () => {
  const renewal: WriteRequest = { type: OpCode.RenewSession, timeoutMs: 9_000 };

  test("counts its connections, and the session keeps the last one's timeout through a checkpoint", () => {
    const member = new Member();
    const session = member.open(1n, 4_000);
    const { session: renewed } = member.apply(member.prepare(renewal, { session, ownership: 1 }));
    expect(renewed).toEqual({ id: session, timeoutMs: 9_000, ownership: 2 });
    member.tree.checkpoint();
    member.tree.reload();
    expect(member.tree.session(session)).toEqual(renewed);
  });

  test("refuses what comes from an earlier connection, as soon as the renewal is prepared", () => {
    const member = new Member();
    const session = member.open(1n);
    const renewed = member.prepare(renewal, { session, ownership: 1 });
    const late = [create("/l"), remove("/l"), setData("/l"), multi(create("/l")), closing, renewal];
    expect(late.map((request) => member.prepare(request, { session, ownership: 1 }).op)).toEqual(
      late.map(() => ({ kind: "error", code: -118 })),
    );
    expect(member.prepare(create("/a"), { session, ownership: 2 }).op.kind).toBe("create");
    expect(member.apply(renewed).session?.ownership).toBe(2);
    expect(verdict(member.write(create("/b"), { session, ownership: 1 }))).toBe("SessionMoved");
    expect(verdict(member.write(create("/b"), { session, ownership: 3 }))).toBe("SessionMoved");
  });

  test("is nobody's once the session has ended: that is what its requests are told", () => {
    const member = new Member();
    const session = member.open(1n);
    member.prepare(closing, { session });
    expect(member.prepare(renewal, { session, ownership: 1 }).op).toEqual({ kind: "error", code: -112 });
    expect(member.prepare(create("/a"), { session, ownership: 9 }).op).toEqual({ kind: "error", code: -112 });
  });
});

describe("a session's ephemerals", () => {
  const pathOf = (at: number) => `/${String(at).padStart(9_995, "x")}`;
  /** As many as fit of this length. */
  const room = Math.floor(ephemeralUnitsMax / (9_996 + 4));

  test("are as many as its closeSession can name, outstanding ones included, and no more", () => {
    const member = new Member();
    const session = member.open(1n);
    const fill = Array.from({ length: room }, (_, at) =>
      member.prepare(create(pathOf(at), ephemeral), { session }),
    );
    expect(member.prepare(create("/one-more", ephemeral), { session }).op).toMatchObject({
      kind: "error",
      code: -125,
    });
    for (const txn of fill) expect(txn.op.kind).toBe("create");
  });

  test("make room again when they go, and when a multi that took it fails", () => {
    const member = new Member();
    const session = member.open(1n);
    for (let at = 0; at < room - 1; at++) member.must(create(pathOf(at), ephemeral), { session });
    const failing = multi(create(pathOf(room), ephemeral), remove("/nothing"));
    expect(partCodes(member.write(failing, { session }))).toEqual(["Ok", "NoNode"]);
    member.must(create(pathOf(room), ephemeral), { session });
    expect(verdict(member.write(create("/one-more", ephemeral), { session }))).toBe("QuotaExceeded");
    member.must(remove(pathOf(room)), { session });
    member.must(create("/one-more", ephemeral), { session });
    member.close(session);
    checkInvariants(member.tree);
  });

  test("of others take nothing from it", () => {
    const member = new Member();
    const session = member.open(1n);
    const other = member.open(2n);
    for (let at = 0; at < room; at++) member.must(create(pathOf(at), ephemeral), { session });
    member.must(create("/other", ephemeral), { session: other });
    member.must(create("/persistent"), { session });
  });
});

describe("closeSession lists", () => {
  test("what is applied, stored or not, and what is in flight, but not what is about to go", () => {
    const member = new Member();
    const session = member.open(1n);
    const other = member.open(2n);
    const who = { session };
    for (const path of ["/stored", "/storedAndGone", "/storedAndDoomed", "/reborn"])
      member.must(create(path, ephemeral), who);
    member.tree.checkpoint();
    member.must(remove("/storedAndGone"));
    for (const path of ["/dirty", "/doomed", "/touched"]) member.must(create(path, ephemeral), who);
    member.must(create("/others", ephemeral), { session: other });

    const inFlight: WriteRequest[] = [
      remove("/storedAndDoomed"),
      remove("/doomed"),
      create("/pending", ephemeral),
      create("/pendingAndGone", ephemeral),
      remove("/pendingAndGone"),
      multi(create("/inMulti", ephemeral), setData("/touched")),
      multi(create("/inFailedMulti", ephemeral), remove("/missing")),
      multi(remove("/reborn"), create("/reborn")),
    ];
    const prepared = inFlight.map((request) => member.prepare(request, who));
    const close = member.prepare(closing, who);
    expect(close.op).toEqual({
      kind: "closeSession",
      ephemerals: ["/dirty", "/inMulti", "/pending", "/stored", "/touched"],
    });

    for (const txn of [...prepared, close]) member.apply(txn);
    expect(member.tree.children("/", undefined, 100)).toEqual(["others", "reborn", "zookeeper"]);
    checkInvariants(member.tree);
  });

  test("nothing twice: a delete behind it finds the znode gone, and the parent may go too", () => {
    const member = new Member();
    const session = member.open(1n);
    member.must(create("/p"));
    member.must(create("/p/e", ephemeral), { session });
    const txns = [closing, remove("/p/e"), remove("/p")].map((request, at) =>
      member.prepare(request, at === 0 ? { session } : {}),
    );
    expect(txns.map(({ op }) => op.kind)).toEqual(["closeSession", "error", "delete"]);
    for (const txn of txns) member.apply(txn);
    expect(member.tree.get("/p")).toBeUndefined();
  });

  test("an ephemeral of another session that took the same path in flight stays", () => {
    const member = new Member();
    const [first, second] = [member.open(1n), member.open(2n)];
    member.must(create("/lock", ephemeral), { session: first });
    const txns = [
      member.prepare(remove("/lock"), { session: first }),
      member.prepare(create("/lock", ephemeral), { session: second }),
      member.prepare(closing, { session: first }),
    ];
    for (const txn of txns) member.apply(txn);
    expect(member.stat("/lock").ephemeralOwner).toBe(second);
    checkInvariants(member.tree);
  });
});

test("discardPrepared() forgets sessions, closes and numbers that never came to be", () => {
  const member = new Member();
  const session = member.open(1n);
  const who = { session };
  member.prepare(create("/s", { flags: CreateMode.EphemeralSequential }), who);
  member.prepare(closing, who);
  member.prepare({ type: OpCode.CreateSession, timeoutMs: 1 }, { session: makeSessionId(2n) });
  expect(member.tree.outstandingCount).toBe(3);
  member.tree.discardPrepared();
  expect([
    member.tree.outstandingCount,
    member.tree.isOpen(session),
    member.tree.isOpen(makeSessionId(2n)),
  ]).toEqual([0, true, false]);
  expect(member.write(create("/s", { flags: CreateMode.EphemeralSequential }), who).body).toEqual({
    kind: "create",
    path: "/s0000000000",
  });
  expect(member.prepare(closing, who).op).toEqual({ kind: "closeSession", ephemerals: ["/s0000000000"] });
});
