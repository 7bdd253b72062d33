/**
 * What the papers claim, one claim at a time, of one peer on a bench.
 *
 * "Zab": Junqueira, Reed and Serafini, "Zab: High-performance broadcast for primary-backup systems", DSN
 * 2011; its steps are named as there (f: follower, l: leader, phase, step). "ZooKeeper": Hunt et al.,
 * USENIX ATC 2010. "Medeiros": "ZooKeeper's atomic broadcast protocol", 2012.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { ZERO_ZXID, type Zxid } from "../../src/base/index.ts";
import { readsWaitingMax } from "../../src/zab/confirm-rounds.ts";
import type { Duties, Packet } from "../../src/zab/index.ts";
import { Bench, diskWith, ids } from "./bench.ts";
import { outline } from "./histories.ts";

const { one, two, three, four } = ids;

const zxid = (epoch: number, counter: number): Zxid => ({ epoch, counter });

const batch = (epoch: number, first: number, txns = 1) => ({
  epoch,
  first,
  payloads: Array.from({ length: txns }, () => Uint8Array.of(7)),
});

function kinds(duties: Duties): string[] {
  return duties.send.map(({ to, packet }) => `${packet.kind}->${to}`);
}

function stores(duties: Duties): string[] {
  return duties.store.map((op) => op.kind);
}

describe("Zab, phase 1: discovery", () => {
  test("f.1.1: a follower tells the prospective leader the last epoch it promised", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 4, currentEpoch: 3 }, [[3, 2]]) });
    bench.decideFor(one);
    expect(bench.lastTo(one, "cepoch")).toMatchObject({ acceptedEpoch: 4, currentEpoch: 3, observer: false });
  });

  test("l.1.1: a leader with less than a quorum of CEPOCHs proposes no epoch", () => {
    const bench = new Bench({ id: one });
    bench.decideFor(one);
    expect(bench.status.epoch).toBe(0);
    expect(bench.disk.promises.acceptedEpoch).toBe(0);
  });

  test("l.1.1: the new epoch is later than any that the quorum has promised", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 2, currentEpoch: 2 }, [[2, 1]]) });
    bench.decideFor(one);
    bench.hearCEpoch(two, 6, outline("0.0 | 2x1"));
    expect(bench.lastTo(two, "newEpoch").epoch).toBe(7);
    // Its own promise is one of those that make the epoch unique.
    expect(bench.disk.promises).toMatchObject({ acceptedEpoch: 7, acceptedLeader: one });
  });

  test("l.1.1: an observer is no part of the quorum", () => {
    const bench = new Bench({ id: one, observers: [four] });
    bench.decideFor(one);
    bench.hearCEpoch(four, 0, outline("0.0 |"));
    expect(bench.status.epoch).toBe(0);
  });

  test("f.1.2: a follower stores its promise, and acknowledges with its epoch and history", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 3, currentEpoch: 3 }, [[3, 2]]) });
    bench.decideFor(one);
    const { session } = bench.lastTo(one, "cepoch");
    const duties = bench.hear(one, { kind: "newEpoch", session, epoch: 5 });
    expect(stores(duties)).toEqual(["promises"]);
    expect(bench.disk.promises).toMatchObject({ acceptedEpoch: 5, acceptedLeader: one, currentEpoch: 3 });
    expect(bench.lastTo(one, "ackEpoch")).toMatchObject({
      epoch: 5,
      currentEpoch: 3,
      outline: outline("0.0 | 3x2"),
    });
  });

  test.each([
    ["an earlier epoch", 4],
    ["an epoch promised to another leader", 5],
  ])("f.1.2: a follower refuses %s, and keeps its promise", (_name, epoch) => {
    const promises = { acceptedEpoch: 5, acceptedLeader: three, currentEpoch: 1 };
    const bench = new Bench({ id: two, disk: diskWith(promises, [[1, 1]]) });
    bench.follow(one, epoch);
    expect(bench.lastTo(one, "refuse")).toMatchObject({ reason: "epoch", acceptedEpoch: 5 });
    expect(bench.disk.promises).toMatchObject(promises);
    expect(bench.status.role).toBe("looking");
  });

  test("f.1.2: told again by the same leader, the promise is repeated", () => {
    const promises = { acceptedEpoch: 5, acceptedLeader: one, currentEpoch: 1 };
    const bench = new Bench({ id: two, disk: diskWith(promises, [[1, 1]]) });
    bench.follow(one, 5);
    expect(bench.lastTo(one, "ackEpoch").epoch).toBe(5);
  });

  test("l.1.2: the history of the new epoch is the most recent of the quorum, so a leader without it is not fit", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 1]]) });
    bench.decideFor(one);
    bench.hearCEpoch(two, 1, outline("0.0 | 1x2"));
    expect(bench.status.epoch).toBe(0);
    bench.hearCEpoch(three, 1, outline("0.0 | 1x2"));
    expect(bench.status.role).toBe("looking");
  });

  test("l.1.2: a quorum without the more recent voter proves that the leader lacks nothing committed", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 1]]) });
    bench.decideFor(one);
    bench.hearCEpoch(two, 1, outline("0.0 | 1x2"));
    bench.join(three);
    expect(bench.status.serving).toEqual({ kind: "leading", epoch: 2 });
  });

  test("an acknowledgement of another session or epoch is not counted", () => {
    const bench = new Bench({ id: one });
    bench.decideFor(one);
    const session = bench.hearCEpoch(two, 0, outline("0.0 |"), 2);
    const ack = {
      kind: "ackEpoch",
      currentEpoch: 0,
      outline: outline("0.0 |"),
      delivered: ZERO_ZXID,
    } as const;
    bench.hear(two, { ...ack, session: { ...session, attempt: 1 }, epoch: 1 });
    bench.hear(two, { ...ack, session, epoch: 2 });
    expect(bench.status.phase).toBe("discovery");
    bench.hear(two, { ...ack, session, epoch: 1 });
    expect(bench.status.phase).toBe("synchronization");
  });
});

describe("Zab, phase 2: synchronization", () => {
  test("l.2.1: the leader joins the epoch durably and sends its history", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 3]]) });
    bench.decideFor(one);
    const session = bench.hearCEpoch(two, 1, outline("0.0 | 1x1"));
    const delivered = ZERO_ZXID;
    const ack = {
      kind: "ackEpoch",
      session,
      epoch: 2,
      currentEpoch: 1,
      outline: outline("0.0 | 1x1"),
      delivered,
    } as const;
    const duties = bench.hear(two, ack);
    expect(kinds(duties)).toEqual(["sync->2", "entries->2", "newLeader->2"]);
    expect(bench.disk.promises.currentEpoch).toBe(2);
    expect(bench.lastTo(two, "newLeader").syncEnd).toEqual(zxid(1, 3));
  });

  test("f.2.1: a follower joins the epoch only with the whole history, in the write that precedes ACKLEADER", () => {
    const bench = new Bench({ id: two });
    const session = bench.follow(one, 2);
    const head = { session, epoch: 2 };
    bench.hear(one, {
      kind: "sync",
      ...head,
      mode: "diff",
      after: ZERO_ZXID,
      syncEnd: zxid(1, 2),
      snapshotId: 0,
    });
    bench.hear(one, { kind: "entries", ...head, prev: ZERO_ZXID, batch: batch(1, 1, 2) });
    expect(bench.disk.promises.currentEpoch).toBe(0);
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
    const duties = bench.hear(one, { kind: "newLeader", ...head, syncEnd: zxid(1, 2) });
    expect(stores(duties)).toEqual(["promises"]);
    expect(kinds(duties)).toEqual(["ackLeader->1"]);
    expect(bench.disk.promises.currentEpoch).toBe(2);
  });

  test("f.2.1: a follower that lacks part of the history does not join", () => {
    const bench = new Bench({ id: two });
    const session = bench.follow(one, 2);
    const head = { session, epoch: 2 };
    bench.hear(one, {
      kind: "sync",
      ...head,
      mode: "diff",
      after: ZERO_ZXID,
      syncEnd: zxid(1, 2),
      snapshotId: 0,
    });
    bench.hear(one, { kind: "entries", ...head, prev: ZERO_ZXID, batch: batch(1, 1, 1) });
    bench.hear(one, { kind: "newLeader", ...head, syncEnd: zxid(1, 2) });
    expect(bench.disk.promises.currentEpoch).toBe(0);
    expect(bench.status.phase).toBe("discovery");
  });

  test("l.2.2: nothing is committed before a quorum has joined", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 3]]) });
    bench.decideFor(one);
    const session = bench.hearCEpoch(two, 1, outline("0.0 | 1x3"));
    const delivered = ZERO_ZXID;
    const ack = {
      kind: "ackEpoch",
      session,
      epoch: 2,
      currentEpoch: 1,
      outline: outline("0.0 | 1x3"),
      delivered,
    } as const;
    bench.hear(two, ack);
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
    const duties = bench.hear(two, { kind: "ackLeader", session, epoch: 2, syncEnd: zxid(1, 3) });
    expect(duties.deliver).toEqual({ after: ZERO_ZXID, through: zxid(1, 3) });
    expect(stores(duties)).toEqual(["promises"]);
    expect(bench.disk.promises.establishedEpoch).toBe(2);
    expect(bench.lastTo(two, "upToDate").commitTo).toEqual(zxid(1, 3));
  });

  test("f.2.2: a follower delivers the initial history when told that it is committed", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 3]]) });
    const session = bench.follow(one, 2);
    const head = { session, epoch: 2 };
    const end = zxid(1, 3);
    bench.hear(one, { kind: "sync", ...head, mode: "diff", after: end, syncEnd: end, snapshotId: 0 });
    expect(bench.hear(one, { kind: "newLeader", ...head, syncEnd: end }).deliver).toBeUndefined();
    const duties = bench.hear(one, { kind: "upToDate", ...head, commitTo: end });
    expect(duties.deliver).toEqual({ after: ZERO_ZXID, through: end });
    expect(duties.serving).toEqual({ kind: "following", epoch: 2, leader: one });
  });
});

describe("Zab, phase 3: broadcast", () => {
  test("l.3.1: proposals carry the epoch and consecutive counters, and are logged before they leave", () => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    const first = bench.submit("a", "bb");
    expect(stores(first)).toEqual(["append"]);
    expect(kinds(first)).toEqual(["propose->2"]);
    bench.submit("ccc");
    expect(bench.lastTo(two, "propose")).toMatchObject({ prev: zxid(1, 2), batch: { epoch: 1, first: 3 } });
  });

  test("l.3.2: a proposal is committed when a quorum has acknowledged it, and not before", () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    expect(bench.submit("a", "b").deliver).toBeUndefined();
    const duties = bench.hear(two, { kind: "ack", session, epoch: 1, through: zxid(1, 1) });
    expect(duties.deliver).toEqual({ after: ZERO_ZXID, through: zxid(1, 1) });
    expect(bench.lastTo(two, "commit").commitTo).toEqual(zxid(1, 1));
  });

  test("l.3.2: an acknowledgement from one that has not joined is none", () => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    bench.submit("a");
    const session = bench.hearCEpoch(three, 0, outline("0.0 |"));
    bench.hear(three, { kind: "ack", session, epoch: 1, through: zxid(1, 1) });
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
  });

  test("l.3.2: an acknowledgement ahead of ACKLEADER ends the session and counts for nothing", () => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    bench.submit("a");
    const session = bench.hearCEpoch(three, 0, outline("0.0 |"));
    const delivered = ZERO_ZXID;
    bench.hear(three, {
      kind: "ackEpoch",
      session,
      epoch: 1,
      currentEpoch: 0,
      outline: outline("0.0 |"),
      delivered,
    });
    bench.hear(three, { kind: "ack", session, epoch: 1, through: zxid(1, 1) });
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
    expect(bench.status.learners).toEqual([two]);
  });

  test("l.3.2: an acknowledgement of what was never sent ends the session", () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    bench.submit("a");
    bench.hear(two, { kind: "ack", session, epoch: 1, through: zxid(1, 9) });
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
    expect(bench.status.learners).toEqual([]);
  });

  test("f.3.1: a follower stores a proposal and acknowledges it, and delivers nothing yet", () => {
    const bench = new Bench({ id: two });
    const session = bench.serve(one, 1);
    const propose = {
      kind: "propose",
      session,
      epoch: 1,
      prev: ZERO_ZXID,
      batch: batch(1, 1),
      commitTo: ZERO_ZXID,
    } as const;
    const duties = bench.hear(one, propose);
    expect(stores(duties)).toEqual(["append"]);
    expect(bench.lastTo(one, "ack").through).toEqual(zxid(1, 1));
    expect(duties.deliver).toBeUndefined();
  });

  test("f.3.1: a proposal that does not follow the last one ends the session, not the leadership", () => {
    const bench = new Bench({ id: two });
    const session = bench.serve(one, 1);
    const gap = {
      kind: "propose",
      session,
      epoch: 1,
      prev: zxid(1, 1),
      batch: batch(1, 2),
      commitTo: ZERO_ZXID,
    } as const;
    expect(stores(bench.hear(one, gap))).toEqual([]);
    expect(bench.status).toMatchObject({ role: "following", leader: one, phase: "discovery" });
    expect(bench.lastTo(one, "cepoch").session).not.toEqual(session);
  });

  test("f.3.1: a proposal that names another predecessor is refused, even if it begins an epoch", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 3]]) });
    const session = bench.serve(one, 2);
    const hole = {
      kind: "propose",
      session,
      epoch: 2,
      prev: zxid(1, 4),
      batch: batch(2, 1),
      commitTo: ZERO_ZXID,
    } as const;
    expect(stores(bench.hear(one, hole))).toEqual([]);
    expect(bench.status.phase).toBe("discovery");
  });

  test("f.3.2: commits are delivered in order, each once, and never beyond the log", () => {
    const bench = new Bench({ id: two });
    const session = bench.serve(one, 1);
    const propose = {
      kind: "propose",
      session,
      epoch: 1,
      prev: ZERO_ZXID,
      batch: batch(1, 1, 2),
      commitTo: ZERO_ZXID,
    } as const;
    bench.hear(one, propose);
    const commit = (counter: number): Duties =>
      bench.hear(one, { kind: "commit", session, epoch: 1, commitTo: zxid(1, counter) });
    expect(commit(1).deliver).toEqual({ after: ZERO_ZXID, through: zxid(1, 1) });
    expect(commit(1).deliver).toBeUndefined();
    expect(commit(5).deliver).toEqual({ after: zxid(1, 1), through: zxid(1, 2) });
    // The bound is remembered.
    const next = { ...propose, prev: zxid(1, 2), batch: batch(1, 3) };
    expect(bench.hear(one, next).deliver).toEqual({ after: zxid(1, 2), through: zxid(1, 3) });
  });

  test("l.3.3, l.3.4: a follower that comes later gets the whole history, then what is proposed behind it", () => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    bench.submit("a");
    const session = bench.hearCEpoch(three, 0, outline("0.0 |"));
    expect(bench.lastTo(three, "newEpoch").epoch).toBe(1);
    const delivered = ZERO_ZXID;
    const ack = {
      kind: "ackEpoch",
      session,
      epoch: 1,
      currentEpoch: 0,
      outline: outline("0.0 |"),
      delivered,
    } as const;
    expect(kinds(bench.hear(three, ack))).toEqual(["sync->3", "entries->3", "newLeader->3"]);
    expect(kinds(bench.submit("b"))).toEqual(["propose->2", "propose->3"]);
    const joined = bench.hear(three, { kind: "ackLeader", session, epoch: 1, syncEnd: zxid(1, 1) });
    expect(kinds(joined)).toContain("upToDate->3");
    // Its history through syncEnd is acknowledged with that: a quorum.
    expect(bench.status.lastCommitted).toEqual(zxid(1, 1));
  });

  test("a follower acknowledges nothing of an epoch earlier than its promise", () => {
    const bench = new Bench({ id: two });
    const session = bench.serve(one, 1);
    bench.feed({ kind: "linkDown", peer: one, reason: "restarted" });
    bench.follow(three, 2);
    const late = {
      kind: "propose",
      session,
      epoch: 1,
      prev: ZERO_ZXID,
      batch: batch(1, 1),
      commitTo: ZERO_ZXID,
    } as const;
    expect(stores(bench.hear(one, late))).toEqual([]);
    expect(bench.sent.some(({ packet }) => packet.kind === "ack")).toBe(false);
  });

  test("whoever is not the established leader proposes nothing", () => {
    const bench = new Bench({ id: one });
    expect(stores(bench.submit("a"))).toEqual([]);
    bench.decideFor(one);
    expect(stores(bench.submit("a"))).toEqual([]);
  });
});

describe("Zab, recovery of state", () => {
  test("a restarted follower delivers nothing that it does not know to be committed", () => {
    const disk = diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 5]]);
    const bench = new Bench({ id: two, disk });
    expect(bench.status).toMatchObject({ lastLogged: zxid(1, 5), lastCommitted: ZERO_ZXID });
    bench.tick(5);
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
  });

  test("nobody ever reports a zxid with counter 0 but the empty history", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 2]]) });
    bench.serve(one, 3);
    expect(bench.status.lastLogged).toEqual(zxid(1, 2));
    bench.feed({ kind: "linkDown", peer: one, reason: "restarted" });
    expect(bench.lastTo(three, "notify").vote).toMatchObject({ currentEpoch: 3, lastZxid: zxid(1, 2) });
  });
});

describe("ZooKeeper, and reads that are linearizable", () => {
  const confirm = (session: { incarnation: number; attempt: number }, confirmRound: number): Packet => ({
    kind: "pong",
    session,
    epoch: 1,
    through: ZERO_ZXID,
    confirmRound,
  });

  test("many reads share a round, and one that comes while it runs waits for the next", () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    bench.feed({ kind: "readIndex", id: 1, fresh: true });
    bench.feed({ kind: "readIndex", id: 2, fresh: true });
    bench.feed({ kind: "readIndex", id: 3, fresh: true });
    expect(bench.hear(two, confirm(session, 1)).confirmed.map(({ id }) => id)).toEqual([1]);
    expect(bench.hear(two, confirm(session, 1)).confirmed).toEqual([]);
    const duties = bench.hear(two, confirm(session, 2));
    expect(duties.confirmed.map(({ id }) => id)).toEqual([2, 3]);
    expect(stores(duties)).toEqual([]);
  });

  test("readsWaitingMax wait for the next round; one more is rejected at once, and the others are not", () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    for (let id = 0; id <= readsWaitingMax; id++)
      expect(bench.feed({ kind: "readIndex", id, fresh: true }).rejected).toEqual([]);
    const tooMany = { kind: "readIndex", id: readsWaitingMax + 1, fresh: true } as const;
    expect(bench.feed(tooMany).rejected).toEqual([readsWaitingMax + 1]);
    expect(bench.hear(two, confirm(session, 1)).confirmed.map(({ id }) => id)).toEqual([0]);
    expect(bench.hear(two, confirm(session, 2)).confirmed).toHaveLength(readsWaitingMax);
    expect(bench.feed(tooMany).rejected).toEqual([]);
  });

  test("row 51: a read that arrived in a continuation is confirmed only with a fence", () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    bench.feed({ kind: "readIndex", id: 1, fresh: false });
    const duties = bench.hear(two, confirm(session, 1));
    expect(duties.confirmed.map(({ id }) => id)).toEqual([1]);
    expect(stores(duties)).toEqual(["fence"]);
  });

  test.each([
    ["row 66: in a continuation a learner confirms only with a fence", false, ["fence"]],
    ["at the start of an event a learner confirms without one", true, []],
  ])("%s", (_name, fresh, expected) => {
    const bench = new Bench({ id: two });
    const session = bench.serve(one, 1);
    const ping = { kind: "ping", session, epoch: 1, commitTo: ZERO_ZXID, confirmRound: 4 } as const;
    const duties = bench.hear(one, ping, fresh);
    expect(bench.lastTo(one, "pong").confirmRound).toBe(4);
    expect(stores(duties)).toEqual(expected);
  });

  test("a follower vouches for its leader only where it has heard it, and in a continuation with a fence", () => {
    const bench = new Bench({ id: two });
    bench.serve(one, 1);
    const vote = { leader: three, lastZxid: ZERO_ZXID, currentEpoch: 0 };
    const notify = {
      kind: "notify",
      state: "looking",
      round: 1,
      vote,
      confirmed: false,
      wantsAnswer: true,
    } as const;
    expect(stores(bench.hear(three, notify, false))).toEqual(["fence"]);
    expect(bench.lastTo(three, "notify")).toMatchObject({ state: "following", confirmed: true });
  });

  test.each([
    ["row 51: in a continuation a leader truncates only with a fence", false, ["fence"]],
    ["at the start of an event a leader truncates without one", true, []],
  ])("%s", (_name, fresh, expected) => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    const session = bench.hearCEpoch(three, 1, outline("0.0 | 1x2"));
    const promised = { currentEpoch: 1, outline: outline("0.0 | 1x2"), delivered: ZERO_ZXID };
    const duties = bench.hear(three, { kind: "ackEpoch", session, epoch: 1, ...promised }, fresh);
    expect(bench.lastTo(three, "sync")).toMatchObject({ mode: "trunc", after: ZERO_ZXID });
    expect(stores(duties)).toEqual(expected);
  });

  test("stepping down rejects what waits", () => {
    const bench = new Bench({ id: one });
    bench.lead(two);
    bench.feed({ kind: "readIndex", id: 1, fresh: true });
    bench.feed({ kind: "readIndex", id: 2, fresh: true });
    const rejected: number[] = [];
    for (let i = 0; i < 12; i++) rejected.push(...bench.feed({ kind: "ticked" }).rejected);
    expect(rejected).toEqual([1, 2]);
    expect(bench.status.serving).toEqual({ kind: "none" });
  });
});

describe("Medeiros: observers", () => {
  test("an observer gets only what is committed, behind its own synchronization", () => {
    const bench = new Bench({ id: one, observers: [four] });
    const session = bench.lead(two);
    bench.submit("a");
    const observer = bench.hearCEpoch(four, 0, outline("0.0 |"));
    const delivered = ZERO_ZXID;
    const promised = {
      kind: "ackEpoch",
      session: observer,
      epoch: 1,
      currentEpoch: 0,
      outline: outline("0.0 |"),
      delivered,
    };
    bench.hear(four, promised as Packet);
    expect(bench.lastTo(four, "newLeader").syncEnd).toEqual(ZERO_ZXID);
    bench.hear(four, { kind: "ackLeader", session: observer, epoch: 1, syncEnd: ZERO_ZXID });
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
    const duties = bench.hear(two, { kind: "ack", session, epoch: 1, through: zxid(1, 1) });
    expect(kinds(duties)).toContain("inform->4");
  });

  test("an observer's acknowledgement commits nothing", () => {
    const bench = new Bench({ id: one, observers: [four] });
    bench.lead(two);
    const observer = bench.join(four);
    bench.submit("a");
    bench.hear(four, { kind: "received", session: observer, epoch: 1, through: zxid(1, 1), pages: 0 });
    expect(bench.status.lastCommitted).toEqual(ZERO_ZXID);
  });
});

describe("a peer that finds itself broken", () => {
  test("halts instead of truncating what it delivered, and stays halted", () => {
    const bench = new Bench({ id: two, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 3]]) });
    bench.serve(one, 2, zxid(1, 3));
    bench.feed({ kind: "linkDown", peer: one, reason: "restarted" });
    const session = bench.follow(three, 3);
    const sync = {
      kind: "sync",
      session,
      epoch: 3,
      mode: "trunc",
      after: zxid(1, 2),
      syncEnd: zxid(1, 2),
      snapshotId: 0,
    };
    const duties = bench.hear(three, sync as Packet);
    expect(duties.halt).toContain("spares what was delivered");
    expect(stores(duties)).toEqual([]);
    expect(bench.feed({ kind: "ticked" }).halt).toContain("spares");
    expect(bench.status.halted).toContain("spares");
  });

  test("does not start from storage that contradicts itself", () => {
    expect(() => new Bench({ id: two, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 2 }, []) })).toThrow(
      "currentEpoch <= acceptedEpoch",
    );
  });

  test("ignores servers it does not know", () => {
    const bench = new Bench({ id: one });
    bench.decideFor(one);
    bench.hearCEpoch(four, 0, outline("0.0 |"));
    expect(bench.status.learners).toEqual([]);
  });
});
