/**
 * What the simulator found in this room, each shrunk to the few steps that matter and kept.
 *
 * @module
 */

import { expect, test } from "vitest";
import { makeServerId, makeZxid, ZERO_ZXID } from "../../src/base/index.ts";
import {
  type Batch,
  type Carrier,
  type Config,
  createLink,
  createPeer,
  enqueue,
  type HistoryReader,
  type Packet,
  type PeerEvent,
  type PeerOptions,
  packetVersion,
  queuePacketsMax,
  receiveRequest,
  receiveResponse,
  statusOf,
  step,
  takeRequest,
  takeResponse,
  type Vote,
} from "../../src/zab/index.ts";

const one = makeServerId(1);
const two = makeServerId(2);

const word: Packet = {
  kind: "notify",
  state: "looking",
  round: 1,
  vote: { leader: 0, lastZxid: ZERO_ZXID, currentEpoch: 0 },
  confirmed: false,
  wantsAnswer: true,
};

// Two members were replaced. Each first heard a late word of the other's former instance, so each names an
// incarnation that is no more. Answering "reset" without looking at who speaks, neither ever learnt.
test("zab: link: two ends that know each other's former incarnation find to each other", () => {
  const a = createLink({ self: one, peer: two, incarnation: 4 });
  const b = createLink({ self: two, peer: one, incarnation: 7 });
  const late = (from: typeof one, to: typeof one, fromIncarnation: number): Carrier => ({
    from,
    to,
    fromIncarnation,
    toIncarnation: 0,
    linkNo: 1,
    firstSeq: 1,
    packets: [word],
    ackSeq: 0,
    status: "ok",
    reads: packetVersion,
  });
  receiveRequest(a, late(two, one, 6));
  takeResponse(a);
  receiveRequest(b, late(one, two, 3));
  takeResponse(b);

  let heard = 0;
  let restarts = 0;
  for (let exchange = 0; exchange < 3; exchange++) {
    for (const [caller, callee] of [
      [a, b],
      [b, a],
    ] as const) {
      enqueue(caller, word, false);
      const request = takeRequest(caller);
      if (request === undefined) continue;
      const received = receiveRequest(callee, request);
      const answered = receiveResponse(caller, takeResponse(callee));
      heard += received.packets.length + answered.packets.length;
      for (const { linkDown } of [received, answered]) if (linkDown === "restarted") restarts++;
    }
  }
  expect(heard).toBeGreaterThan(0);
  expect(restarts).toBe(2);
});

// A snapshot by choice (forced, or too many txns to send) needs a cut above what both have. The cut is the
// last checkpoint and may be older. The session was refused as damaged, with the same decision every time.
test.each([
  ["forced", { forceSnapshot: true }],
  ["more txns missing than a diff may send", { diffTxnsMax: 1 }],
])("zab: sync: no checkpoint yet and a snapshot wished for: a diff is sent (%s)", (_name, wish) => {
  const logged: Uint8Array[] = [];
  const reader: HistoryReader = {
    readAfter: (after): Batch => ({
      epoch: 1,
      first: after.counter + 1,
      payloads: logged.slice(after.counter),
    }),
    openSnapshot: () => ({ id: 1, zxid: ZERO_ZXID }),
    readSnapshotPage: () => undefined,
    closeSnapshot: () => {},
  };
  const config: Config = {
    version: ZERO_ZXID,
    members: [
      { id: one, role: "voter" },
      { id: two, role: "observer" },
    ],
  };
  const options: PeerOptions = {
    id: one,
    initLimitTicks: 10,
    syncLimitTicks: 5,
    pingEveryTicks: 1,
    finalizeWaitTicks: 1,
    notifyEveryTicksMin: 1,
    notifyEveryTicksMax: 8,
    inFlightBytesMax: 1_000,
    packetBytesMax: 1_000,
    counterMax: 1_000,
    incarnation: 1,
    ...wish,
  };
  const promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 } as const;
  const outline = { base: ZERO_ZXID, runs: [] };
  const leader = createPeer({ promises, config, outline, applied: ZERO_ZXID }, options, reader);
  const sent: string[] = [];
  const feed = (event: PeerEvent): void => {
    const duties = step(leader, event);
    expect(duties.halt).toBeUndefined();
    for (const op of duties.store) if (op.kind === "append") logged.push(...op.batch.payloads);
    for (const { packet } of duties.send) sent.push(packet.kind === "sync" ? packet.mode : packet.kind);
  };
  const hear = (packet: Packet): void => feed({ kind: "received", from: two, packet, fresh: true });

  feed({ kind: "booted" });
  feed({ kind: "submitted", payloads: [new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)] });
  const session = { incarnation: 1, attempt: 1 };
  hear({ kind: "cepoch", session, acceptedEpoch: 0, currentEpoch: 0, outline, observer: true });
  hear({ kind: "ackEpoch", session, epoch: 1, currentEpoch: 0, outline, delivered: ZERO_ZXID });
  expect(sent.filter((kind) => kind !== "notify")).toEqual(["newEpoch", "diff", "entries", "newLeader"]);
});

// An observer saw a quorum agree in round 1 and set the moment to decide; then it heard of round 2 and had no
// vote any more. The moment stayed, came with every tick, decided nothing, and kept it from ever asking again.
test("zab: election: a looking observer that hears of a later round goes on asking", () => {
  const three = makeServerId(3);
  const self = makeServerId(4);
  const config: Config = {
    version: ZERO_ZXID,
    members: [
      { id: one, role: "voter" },
      { id: two, role: "voter" },
      { id: three, role: "voter" },
      { id: self, role: "observer" },
    ],
  };
  const options: PeerOptions = {
    id: self,
    initLimitTicks: 10,
    syncLimitTicks: 5,
    pingEveryTicks: 1,
    finalizeWaitTicks: 3,
    notifyEveryTicksMin: 2,
    notifyEveryTicksMax: 8,
    inFlightBytesMax: 1_000,
    packetBytesMax: 1_000,
    counterMax: 1_000,
    incarnation: 1,
  };
  const promises = { acceptedEpoch: 0, acceptedLeader: 0, currentEpoch: 0, establishedEpoch: 0 } as const;
  const outline = { base: ZERO_ZXID, runs: [] };
  const reader: HistoryReader = {
    readAfter: () => undefined,
    openSnapshot: () => ({ id: 1, zxid: ZERO_ZXID }),
    readSnapshotPage: () => undefined,
    closeSnapshot: () => {},
  };
  const observer = createPeer({ promises, config, outline, applied: ZERO_ZXID }, options, reader);
  step(observer, { kind: "booted" });
  const vote = { leader: two, lastZxid: ZERO_ZXID, currentEpoch: 0 };
  const hear = (from: typeof one, round: number, leader: Vote["leader"]): void => {
    const packet: Packet = { ...word, round, vote: { ...vote, leader } };
    step(observer, { kind: "received", from, packet, fresh: true });
  };
  hear(one, 1, two);
  hear(two, 1, two);
  hear(three, 2, 0);
  let asked = 0;
  for (let tick = 0; tick < 40; tick++) asked += step(observer, { kind: "ticked" }).send.length;
  expect(asked).toBeGreaterThan(0);
});

// The limit was counted from the beginning of the phase. A snapshot that takes longer than that to arrive was
// given up, and begun again from its first page, for ever.
test("zab: sync: a snapshot that takes longer than initLimit arrives, as long as it moves", () => {
  const config: Config = {
    version: ZERO_ZXID,
    members: [
      { id: one, role: "voter" },
      { id: two, role: "voter" },
    ],
  };
  const options: PeerOptions = {
    id: two,
    initLimitTicks: 10,
    syncLimitTicks: 5,
    pingEveryTicks: 1,
    finalizeWaitTicks: 1,
    notifyEveryTicksMin: 1,
    notifyEveryTicksMax: 4,
    inFlightBytesMax: 1,
    packetBytesMax: 1000,
    counterMax: 1000,
    incarnation: 1,
  };
  const pages = 20;
  const cut = makeZxid(1, 10);
  const reader: HistoryReader = {
    readAfter: () => undefined,
    openSnapshot: () => ({ id: 1, zxid: cut }),
    readSnapshotPage: (_id, page) => ({ bytes: new Uint8Array(10), last: page === pages - 1 }),
    closeSnapshot: () => {},
  };
  const promises = { acceptedEpoch: 1, acceptedLeader: two, currentEpoch: 1, establishedEpoch: 1 };
  const leader = createPeer(
    { promises, config, outline: { base: cut, runs: [] }, applied: cut },
    options,
    reader,
  );
  step(leader, { kind: "booted" });
  const session = { incarnation: 1, attempt: 1 };
  const empty = { base: ZERO_ZXID, runs: [] };
  const hear = (packet: Packet) => step(leader, { kind: "received", from: one, packet, fresh: true });
  hear({ ...word, vote: { leader: two, lastZxid: cut, currentEpoch: 1 } });
  hear({ kind: "cepoch", session, acceptedEpoch: 0, currentEpoch: 0, outline: empty, observer: false });
  const scope = { session, epoch: 2 };
  hear({ kind: "ackEpoch", ...scope, currentEpoch: 0, outline: empty, delivered: ZERO_ZXID });
  for (let page = 1; page <= pages; page++) {
    for (let tick = 0; tick < 3; tick++) step(leader, { kind: "ticked" });
    hear({ kind: "received", ...scope, through: page === pages ? cut : ZERO_ZXID, pages: page });
  }
  const { serving } = hear({ kind: "ackLeader", ...scope, syncEnd: cut });
  expect(serving).toEqual({ kind: "leading", epoch: 2 });
});

/** The only voter of an ensemble that was changed once, with one observer (or others), which has not attached. */
function loneVoter(
  options: Partial<PeerOptions>,
  others: Config["members"] = [{ id: two, role: "observer" }],
  snapshots: Partial<HistoryReader> = {},
) {
  const config: Config = {
    version: makeZxid(1, 1),
    members: [{ id: one, role: "voter" }, ...others],
  };
  const reader: HistoryReader = {
    readAfter: () => undefined,
    openSnapshot: () => ({ id: 1, zxid: makeZxid(1, 1) }),
    readSnapshotPage: () => undefined,
    closeSnapshot: () => {},
    ...snapshots,
  };
  const promises = { acceptedEpoch: 1, acceptedLeader: one, currentEpoch: 1, establishedEpoch: 1 };
  const outline = { base: makeZxid(1, 1), runs: [] };
  const peer = createPeer(
    { promises, config, outline, applied: makeZxid(1, 1) },
    {
      id: one,
      initLimitTicks: 10,
      syncLimitTicks: 5,
      pingEveryTicks: 1,
      finalizeWaitTicks: 1,
      notifyEveryTicksMin: 1,
      notifyEveryTicksMax: 4,
      inFlightBytesMax: 1000,
      packetBytesMax: 1000,
      counterMax: 1000,
      incarnation: 2,
      resumes: true,
      ...options,
    },
    reader,
  );
  step(peer, { kind: "booted" });
  return peer;
}

// The leader that added the member lost its memory, and so did the link its word. It went on in its epoch, and was
// asleep again before the limit at which members without a session are told: nobody ever told this one.
test("zab: reconfig: a leader that falls asleep soon tells those who may not know that they are members", () => {
  const peer = loneVoter({ idleTicks: 2 });
  const told = () => step(peer, { kind: "ticked" }).send.filter(({ packet }) => packet.kind === "notify");
  expect(told()).toHaveLength(1);
  for (let tick = 0; tick < 5; tick++) told();
  expect(statusOf(peer).asleep).toBe(true);
  step(peer, { kind: "active" });
  expect(told()).toMatchObject([{ to: two, packet: { config: { version: makeZxid(1, 1) } } }]);
});

// With a vote it had promised this epoch to somebody who came to nothing, and then it became an observer. The leader
// took a new epoch for voters only, so the observer refused it for ever.
test.each(["before it attaches", "when it is asked"])(
  "zab: reconfig: a leader takes a later epoch for an observer that has promised one, told %s",
  (when) => {
    const peer = loneVoter({});
    const session = { incarnation: 1, attempt: 1 };
    const hear = (packet: Packet) => step(peer, { kind: "received", from: two, packet, fresh: true });
    const ahead = when === "before it attaches" ? 5 : 1;
    const history = { currentEpoch: 0, outline: { base: ZERO_ZXID, runs: [] } };
    hear({ kind: "cepoch", session, acceptedEpoch: ahead, ...history, observer: true });
    hear({ kind: "refuse", session, reason: "epoch", acceptedEpoch: ahead });
    for (let tick = 0; tick < 30; tick++) step(peer, { kind: "ticked" });
    expect(statusOf(peer).epoch).toBe(ahead + 1);
  },
);

// What it was told went to its former incarnation, and the leader was asleep, or about to be.
test("zab: reconfig: a member that has restarted is told again that there is a leader, by one that sleeps too", () => {
  const peer = loneVoter({ idleTicks: 2 });
  for (let tick = 0; tick < 5; tick++) step(peer, { kind: "ticked" });
  expect(statusOf(peer).asleep).toBe(true);
  const { send } = step(peer, { kind: "linkDown", peer: two, reason: "restarted" });
  expect(send).toMatchObject([{ to: two, packet: { kind: "notify", state: "leading" } }]);
});

// It was told while it was down, and came up in time to hear of it, but not before the leader slept.
test("zab: reconfig: members that are not attached are told once more before a leader falls asleep", () => {
  const peer = loneVoter({ idleTicks: 4 });
  const told = () =>
    step(peer, { kind: "ticked" }).send.filter(({ packet }) => packet.kind === "notify").length;
  expect([told(), told()]).toEqual([1, 0]);
  step(peer, { kind: "active" });
  let words = 0;
  while (!statusOf(peer).asleep) words += told();
  expect(words).toBe(1);
});

// It knew already that it was no voter any more. Voters that did not yet know made it their leader.
test("zab: reconfig: a member without a vote is not elected by those who still vote for it", () => {
  const peer = loneVoter({ id: two, resumes: false });
  const vote = { leader: two, lastZxid: makeZxid(1, 1), currentEpoch: 1 };
  step(peer, { kind: "received", from: one, packet: { ...word, vote }, fresh: true });
  for (let tick = 0; tick < 3; tick++) step(peer, { kind: "ticked" });
  expect(statusOf(peer).role).toBe("looking");
});

// Two was being made a voter and did not know. The leader that needed it took its looking for a desertion, looked
// too, and led again, each time before it had answered.
test("zab: reconfig: a leader in discovery is not deserted by one that votes for nobody", () => {
  const peer = loneVoter({ resumes: false }, [{ id: two, role: "voter" }]);
  const hear = (packet: Packet) => step(peer, { kind: "received", from: two, packet, fresh: true });
  hear({ ...word, vote: { leader: one, lastZxid: makeZxid(1, 1), currentEpoch: 1 } });
  expect(statusOf(peer).role).toBe("leading");
  hear({ ...word, round: 9 });
  expect(statusOf(peer).role).toBe("leading");
});

// Shells count who reads from a snapshot, and the peer did as well: joined twice it was closed once, and held for ever.
test("zab: streams: a snapshot is closed as often as it was opened", () => {
  const three = makeServerId(3);
  let open = 0;
  const others = [two, three].map((id) => ({ id, role: "observer" as const }));
  const peer = loneVoter({}, others, {
    openSnapshot: () => {
      open += 1;
      return { id: 1, zxid: makeZxid(1, 1) };
    },
    readSnapshotPage: () => ({ bytes: new Uint8Array(10), last: false }),
    closeSnapshot: () => {
      open -= 1;
    },
  });
  const session = { incarnation: 1, attempt: 1 };
  const empty = { base: ZERO_ZXID, runs: [] };
  for (const from of [two, three]) {
    const hear = (packet: Packet) => step(peer, { kind: "received", from, packet, fresh: true });
    hear({ kind: "cepoch", session, acceptedEpoch: 0, currentEpoch: 0, outline: empty, observer: true });
    hear({ kind: "ackEpoch", session, epoch: 1, currentEpoch: 0, outline: empty, delivered: ZERO_ZXID });
  }
  expect(open).toBe(2);
  for (const id of [two, three]) step(peer, { kind: "linkDown", peer: id });
  expect(open).toBe(0);
});

// What is under way was bounded in bytes only. A log of small batches filled the link's queue before that: the link
// was given up, the learner began anew, and never came further.
test("zab: streams: a learner behind by more small batches than a link may queue is levelled", () => {
  const txns = 3 * queuePacketsMax;
  const peer = loneVoter({ inFlightBytesMax: 4 * 1024 * 1024, counterMax: 2 ** 32 - 2 }, undefined, {
    readAfter: ({ counter }) => ({ epoch: 1, first: counter + 1, payloads: [new Uint8Array(1)] }),
  });
  for (let txn = 0; txn < txns; txn++) step(peer, { kind: "submitted", payloads: [new Uint8Array(1)] });
  const link = createLink({ self: one, peer: two, incarnation: 2 });
  const learner = createLink({ self: two, peer: one, incarnation: 1 });
  const session = { incarnation: 1, attempt: 1 };
  const outline = { base: makeZxid(1, 1), runs: [] };
  const delivered = makeZxid(1, 1);
  const losses: unknown[] = [];
  let underWay = 0;
  let underWayMost = 0;
  const hear = (packet: Packet) => {
    for (const { to, packet: sent, lazy } of step(peer, { kind: "received", from: two, packet, fresh: true })
      .send) {
      if (to === two) losses.push(enqueue(link, sent, lazy) ?? []);
      if (sent.kind === "entries") underWay += 1;
    }
    underWayMost = Math.max(underWay, underWayMost);
  };
  hear({ kind: "cepoch", session, acceptedEpoch: 1, currentEpoch: 1, outline, observer: true });
  hear({ kind: "ackEpoch", session, epoch: 1, currentEpoch: 1, outline, delivered });
  const heard: string[] = [];
  for (let request = takeRequest(link); request !== undefined; request = takeRequest(link)) {
    const { packets } = receiveRequest(learner, request);
    receiveResponse(link, takeResponse(learner));
    for (const packet of packets) {
      heard.push(packet.kind);
      if (packet.kind !== "entries") continue;
      underWay -= 1;
      const through = makeZxid(1, packet.batch.first);
      hear({ kind: "received", session, epoch: 1, through, pages: 0 });
    }
  }
  expect(losses.flat()).toEqual([]);
  expect(underWayMost).toBe(queuePacketsMax / 2);
  expect(heard.filter((kind) => kind === "entries")).toHaveLength(txns);
  expect(heard.at(-1)).toBe("newLeader");
});
