/**
 * Proves who gets a seat, when, and that no seat outlives its holder, is taken twice, or is one too many.
 *
 * Over a real tree and pipeline, kept by a lone voter; the clock is the test's.
 *
 * @module
 */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  CreateMode,
  formatSessionId,
  NO_SESSION,
  OpCode,
  type SessionId,
  ZkErrorCode,
} from "../../src/base/index.ts";
import type { SeatAnswer, SeatRequest } from "../../src/objects/api.ts";
import { bobOnly, create, remove } from "../tree/support.ts";
import { LockWorld } from "./support/lock-world.ts";

let world: LockWorld;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  world = new LockWorld();
});

afterEach(() => {
  expect(world.watchers).toBe(0);
  expect(world.semaphores.isBusy || world.locks.isBusy).toBe(false);
  vi.useRealTimers();
});

const path = "/sem";
const leases = `${path}/leases`;
const [a, b, c, d] = ["a", "b", "c", "d"].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
  string,
];

function take(id: string, given: Partial<SeatRequest> = {}): Promise<SeatAnswer> {
  const owner = `owner ${id.slice(0, 1)}`;
  return world.semaphores.take({
    ...{ path, id, seats: 2, ttlMs: 10_000, waitMs: 0, owner, identities: [], ...given },
  });
}

const reference = (id: string) => ({ path, id, identities: [] });
const keep = (id: string) => world.semaphores.keep(reference(id), true);
const release = (id: string) => world.semaphores.release(reference(id), true);
const lent = (session: SessionId) => ({ id: formatSessionId(session), password: "right" });

/** Lets everything that needs no time happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  world.leader.nowMs += ms;
  vi.advanceTimersByTime(ms);
  await settle();
}

function tokenOf(answer: SeatAnswer): number {
  if (answer.kind !== "granted") throw new Error(`it was ${answer.kind}`);
  return Number(answer.token);
}

function ownerOf(id: string): SessionId {
  const lifetime = world.leader.tree.get(`${leases}/ek-${id}`)?.lifetime;
  if (lifetime?.kind !== "ephemeral") throw new Error("there is no such lease");
  return lifetime.owner;
}

function describe() {
  return world.semaphores.describe(path, { sessionId: NO_SESSION, identities: [] }, true);
}

test("semaphores: as many are granted as there are seats, in order, with growing tokens", async () => {
  const first = await take(a);
  const second = await take(b);
  const third = take(c, { waitMs: 5_000 });
  const fourth = take(d, { waitMs: 5_000 });
  await settle();
  expect(await describe()).toMatchObject({
    ...{ seats: 2, taken: 2, holders: [{ owner: "owner a" }, { owner: "owner b" }] },
    queue: [
      { owner: "owner c", holds: true },
      { owner: "owner d", holds: false },
    ],
  });
  const wakes = world.wakes;
  expect(await release(a)).toEqual({ kind: "released" });
  const tokens = [tokenOf(first), tokenOf(second), tokenOf(await third)];
  expect(tokens).toEqual(tokens.toSorted((one, other) => one - other));
  await settle();
  // c by the lease that went, d by the turn that c gave back.
  expect(world.wakes - wakes).toBe(2);
  expect(world.children(leases)).toEqual([`ek-${b}`, `ek-${c}`]);
  await release(b);
  expect(tokenOf(await fourth)).toBeGreaterThan(tokens[2] ?? 0);
  for (const id of [c, d]) await release(id);
  expect([world.children(leases), world.children(`${path}/lock`)]).toEqual([[], []]);
  expect(world.leader.tree.sessionCount).toBe(0);
});

test("semaphores: holders are shown in the order in which they took their seats", async () => {
  await take(b);
  await take(a);
  expect(await describe()).toMatchObject({ holders: [{ owner: "owner b" }, { owner: "owner a" }] });
});

test("semaphores: who waits in vain leaves nothing, and the next has the turn", async () => {
  await take(a, { seats: 1 });
  expect(await take(b, { seats: 1 })).toMatchObject({ kind: "timedOut", taken: 1 });
  const impatient = take(b, { seats: 1, waitMs: 1_000 });
  const patient = take(c, { seats: 1, waitMs: 5_000 });
  await pass(1_000);
  expect(await impatient).toMatchObject({ kind: "timedOut", holders: [{ owner: "owner a" }] });
  expect(world.children(`${path}/lock`)).toHaveLength(1);
  await release(a);
  expect((await patient).kind).toBe("granted");
  // Those of the one that holds.
  expect(world.leader.tree.sessionCount).toBe(1);
});

test("semaphores: the same id has one seat, however often and however early it is asked for", async () => {
  const [one, two] = await Promise.all([take(a, { waitMs: 100 }), take(a, { waitMs: 100 })]);
  expect(two).toEqual(one);
  expect(await take(a)).toEqual(one);
  expect(world.children(leases)).toEqual([`ek-${a}`]);

  await take(b);
  const short = take(c, { waitMs: 1_000 });
  const long = take(c, { waitMs: 5_000 });
  await pass(1_000);
  expect((await short).kind).toBe("timedOut");
  await release(a);
  expect((await long).kind).toBe("granted");
  expect(world.leader.tree.sessionCount).toBe(2);
});

test("semaphores: a seat is kept by its id, lost with its session, and then another's", async () => {
  const seat = await take(a, { seats: 1 });
  world.touched.length = 0;
  expect(await keep(a)).toEqual(seat);
  expect(world.touched).toEqual([ownerOf(a)]);
  const next = take(b, { seats: 1, waitMs: 5_000 });
  await settle();
  world.touched.length = 0;
  world.semaphores.tick();
  expect(world.touched).toHaveLength(1);
  expect((await keep(b)).kind).toBe("timedOut");
  world.lapse(ownerOf(a));
  expect((await next).kind).toBe("granted");
  for (const call of [keep, release]) expect(await call(a)).toEqual({ kind: "gone" });
  expect(await keep(c)).toEqual({ kind: "gone" });
});

test("semaphores: who gives its place in the queue up is not granted a seat", async () => {
  await take(a, { seats: 1 });
  const waiting = take(b, { seats: 1, waitMs: 5_000 });
  await settle();
  expect(await release(b)).toEqual({ kind: "released" });
  expect((await waiting).kind).toBe("gone");
  expect(world.children(`${path}/lock`)).toEqual([]);
});

test("semaphores: in a caller's session a seat is given back alone, and by nobody else", async () => {
  const [mine, theirs] = [world.openSession(), world.openSession()];
  const session = lent(mine);
  const seat = await take(a, { session });
  expect(seat.kind).toBe("granted");
  expect(world.children(leases)).toEqual([`eks-${a}`]);
  for (const other of [undefined, lent(theirs), { ...session, password: "wrong" }]) {
    const as = { ...reference(a), session: other };
    expect((await take(a, { session: other })).kind).toBe("foreign");
    expect((await world.semaphores.keep(as, true)).kind).toBe("foreign");
    expect((await world.semaphores.release(as, true)).kind).toBe("foreign");
  }
  expect(await take(a, { session })).toEqual(seat);
  expect(await world.semaphores.release({ ...reference(a), session }, true)).toEqual({ kind: "released" });
  expect([world.children(leases), world.leader.tree.hasSession(mine)]).toEqual([[], true]);
  await take(b, { session });
  world.lapse(mine);
  expect(world.children(leases)).toEqual([]);
  expect(await take(b, { session })).toMatchObject({ outcome: { err: ZkErrorCode.SessionExpired } });
});

test("semaphores: seats that the SDK took count, and those who wait are woken by them", async () => {
  const client = world.openSession();
  await take(a, { seats: 1 });
  await release(a);
  const lease = create(`${leases}/lease-`, { flags: CreateMode.EphemeralSequential });
  const requester = { sessionId: client, identities: [] };
  world.leader.submit(lease, { requester });
  world.leader.writes.flush();
  expect(await take(b, { seats: 1 })).toMatchObject({
    ...{ kind: "timedOut", taken: 1, holders: [{ name: "lease-0000000001" }] },
  });
  const next = take(b, { seats: 1, waitMs: 5_000 });
  await settle();
  world.lapse(client);
  expect((await next).kind).toBe("granted");
});

test("semaphores: another count of seats is refused, and nothing happens", async () => {
  await take(a);
  const applied = world.leader.tree.applied;
  expect(await take(b, { seats: 3 })).toEqual({ kind: "otherSeats", seats: 2 });
  expect(world.leader.tree.applied).toEqual(applied);
  const data = new TextEncoder().encode("many");
  world.leader.submit({ type: OpCode.SetData, path: `${path}/seats`, data, version: -1 });
  world.leader.writes.flush();
  expect(await take(b)).toEqual({ kind: "otherSeats", seats: undefined });
});

test("semaphores: znodes that somebody deletes are made again", async () => {
  await take(a, { seats: 1 });
  const waiting = take(b, { seats: 1, waitMs: 5_000 });
  await settle();
  for (const at of [`${leases}/ek-${a}`, leases]) world.leader.submit(remove(at));
  world.leader.writes.flush();
  expect((await waiting).kind).toBe("granted");
  expect(world.children(leases)).toEqual([`ek-${b}`]);
});

test("semaphores: what an ACL forbids is refused, and leaves no session behind", async () => {
  const { leader } = world;
  leader.submit(create(path));
  leader.submit(create(leases, { acl: bobOnly }));
  leader.writes.flush();
  expect(await take(a)).toMatchObject({
    kind: "refused",
    outcome: { err: ZkErrorCode.NoAuth },
    path: `${leases}/ek-${a}`,
  });
  expect(await describe()).toMatchObject({ kind: "refused", path: leases });
  expect([leader.tree.sessionCount, world.children(`${path}/lock`)]).toEqual([0, []]);
});

test("semaphores: what is not confirmed, or was asked of who leads no more, is unknown", async () => {
  await take(a, { seats: 1 });
  world.isConfirmed = false;
  for (const call of [keep, take]) expect((await call(a)).kind).toBe("unknown");
  expect((await release(c)).kind).toBe("unknown");
  expect((await describe()).kind).toBe("unknown");
  world.isConfirmed = true;
  const waiting = take(b, { seats: 1, waitMs: 5_000 });
  await settle();
  world.depose();
  expect((await waiting).kind).toBe("unknown");
});

test("semaphores: without room nobody begins to wait", async () => {
  world.hasRoom = false;
  expect(await take(a)).toEqual({ kind: "overloaded" });
  expect(world.leader.tree.get(path)).toBeUndefined();
});
