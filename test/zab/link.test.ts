/**
 * Links keep their guarantees while calls are lost, repeated and late, and while ends restart and give up.
 *
 * Small cases come first. Then two ends are put into a network of calls and every short history is
 * tried, and many long ones drawn by chance. Packets are numbered; L1 and L2 are judged from outside:
 * between two `linkDown`s an end receives a gap-free prefix of one association of its peer, and never
 * anything of an association it received from before.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId } from "../../src/base/index.ts";
import {
  type Carrier,
  createLink,
  enqueue,
  giveUp,
  isIdle,
  type Link,
  type LinkReceived,
  type Packet,
  queuePacketsMax,
  receiveRequest,
  receiveResponse,
  remind,
  requestFailed,
  takeRequest,
  takeResponse,
  wantsCall,
} from "../../src/zab/index.ts";
import { Dice } from "./world.ts";

const session = { incarnation: 1, attempt: 1 };

/** A packet nothing supersedes. */
function numbered(through: number): Packet {
  return { kind: "newEpoch", session, epoch: through };
}

function numberOf(packet: Packet | undefined): number {
  return packet?.kind === "newEpoch" ? packet.epoch : -1;
}

function pair(): { a: Link; b: Link } {
  const [self, peer] = [makeServerId(1), makeServerId(2)];
  return {
    a: createLink({ self, peer, incarnation: 1 }),
    b: createLink({ self: peer, peer: self, incarnation: 1 }),
  };
}

function numbers(received: LinkReceived): number[] {
  return received.packets.map(numberOf);
}

/** One undisturbed call: what the callee got, and what the caller got back. */
function call(from: Link, to: Link): { there: LinkReceived; back: LinkReceived } {
  const request = takeRequest(from);
  if (request === undefined) throw new Error("nothing to call for");
  const there = receiveRequest(to, request);
  return { there, back: receiveResponse(from, takeResponse(to)) };
}

/** Two ends that have heard each other. */
function acquainted(): { a: Link; b: Link } {
  const ends = pair();
  enqueue(ends.a, numbered(0), false);
  call(ends.a, ends.b);
  call(ends.a, ends.b);
  return ends;
}

describe("a link", () => {
  test("brings packets in order, both ways in one call", () => {
    const { a, b } = acquainted();
    for (const i of [1, 2]) enqueue(a, numbered(i), false);
    enqueue(b, numbered(9), false);
    const { there, back } = call(a, b);
    expect(numbers(there)).toEqual([1, 2]);
    expect(numbers(back)).toEqual([9]);
    expect(isIdle(a)).toBe(true);
  });

  test("to a stranger first asks who it is", () => {
    const { a, b } = pair();
    enqueue(a, numbered(1), false);
    enqueue(b, numbered(9), false);
    const { there, back } = call(a, b);
    expect(numbers(there)).toEqual([]);
    expect(numbers(back)).toEqual([9]);
    expect(wantsCall(a)).toBe("now");
    expect(numbers(call(a, b).there)).toEqual([1]);
  });

  test("has one request in flight at most", () => {
    const { a } = acquainted();
    enqueue(a, numbered(1), false);
    expect(takeRequest(a)).toBeDefined();
    enqueue(a, numbered(2), false);
    expect(takeRequest(a)).toBeUndefined();
    expect(wantsCall(a)).toBe("no");
  });

  test("sends again what a failed call carried, and the receiver drops the copy", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    const first = takeRequest(a);
    if (first === undefined) throw new Error("nothing to call for");
    receiveRequest(b, first);
    requestFailed(a);
    enqueue(a, numbered(2), false);
    expect(numbers(call(a, b).there)).toEqual([2]);
  });

  test("drops the late copy of a request that was repeated", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    const late = takeRequest(a);
    requestFailed(a);
    call(a, b);
    if (late !== undefined) expect(receiveRequest(b, late).packets).toEqual([]);
  });

  test("tells a caller that the peer restarted, and loses what was queued for it", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    call(a, b);
    const reborn = createLink({ self: b.self, peer: b.peer, incarnation: 2 });
    enqueue(a, numbered(2), false);
    const { there, back } = call(a, reborn);
    expect(there.packets).toEqual([]);
    expect(back.linkDown).toBe("restarted");
    expect(isIdle(a)).toBe(true);
    enqueue(a, numbered(3), false);
    expect(numbers(call(a, reborn).there)).toEqual([3]);
  });

  test("notices a restarted caller, and takes its packets", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    call(a, b);
    const reborn = createLink({ self: a.self, peer: a.peer, incarnation: 2 });
    enqueue(reborn, numbered(2), false);
    expect(call(reborn, b).there.linkDown).toBe("restarted");
    const { there } = call(reborn, b);
    expect(there.linkDown).toBeUndefined();
    expect(numbers(there)).toEqual([2]);
  });

  test("refuses an instance that was replaced", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    const reborn = createLink({ self: a.self, peer: a.peer, incarnation: 2 });
    enqueue(reborn, numbered(2), false);
    call(reborn, b);
    expect(call(a, b).there.packets).toEqual([]);
  });

  test("given up at one end is down at the other with the next packet", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    call(a, b);
    enqueue(b, numbered(8), false);
    expect(giveUp(a)).toBe("lost");
    enqueue(a, numbered(2), false);
    const { there, back } = call(a, b);
    expect(there.linkDown).toBe("lost");
    expect(numbers(there)).toEqual([2]);
    expect(back.packets).toEqual([]);
  });

  test("gives up when its queue is full", () => {
    const { a } = acquainted();
    for (let i = 0; i < queuePacketsMax; i++) expect(enqueue(a, numbered(i), false)).toBeUndefined();
    expect(enqueue(a, numbered(0), false)).toBe("lost");
    expect(isIdle(a)).toBe(true);
  });

  test("lets lazy packets wait for company", () => {
    const { a, b } = acquainted();
    const commitTo = { epoch: 1, counter: 1 };
    enqueue(a, { kind: "commit", session, epoch: 1, commitTo }, true);
    expect(wantsCall(a)).toBe("soon");
    enqueue(a, numbered(1), false);
    expect(wantsCall(a)).toBe("now");
    expect(call(a, b).there.packets.length).toBe(2);
  });

  test("wants no call for what rode in an answer, until reminded", () => {
    const { a, b } = acquainted();
    enqueue(a, numbered(1), false);
    enqueue(b, numbered(2), false);
    expect(numbers(call(a, b).back)).toEqual([2]);
    expect(wantsCall(b)).toBe("no");
    expect(isIdle(b)).toBe(false);
    remind(b);
    expect(wantsCall(b)).toBe("now");
  });

  test("keeps only the newest of votes, acks and commits that have not travelled", () => {
    const { a, b } = acquainted();
    const vote = { leader: 0, lastZxid: { epoch: 0, counter: 0 }, currentEpoch: 0 } as const;
    const notify = { kind: "notify", state: "looking", vote, confirmed: false, wantsAnswer: true } as const;
    enqueue(a, { ...notify, round: 1 }, false);
    enqueue(a, numbered(1), false);
    enqueue(a, { ...notify, round: 2 }, false);
    for (const counter of [1, 2, 3]) {
      enqueue(a, { kind: "ack", session, epoch: 1, through: { epoch: 1, counter } }, false);
    }
    const { there } = call(a, b);
    expect(there.packets.map((packet) => packet.kind)).toEqual(["newEpoch", "notify", "ack"]);
    expect(there.packets[1]).toMatchObject({ round: 2 });
    expect(there.packets[2]).toMatchObject({ through: { counter: 3 } });
  });
});

/** What one end queued or received between two of its `linkDown`s. */
interface Period {
  /** Incarnation of this end. */
  readonly life: number;
  readonly queued: number[];
  readonly received: number[];
}

interface Side {
  link: Link;
  /** All periods of all incarnations, the present one last. */
  readonly periods: Period[];
  /** Numbers its own calls; a late answer finds another number and is ignored. */
  call: number;
}

interface Net {
  readonly sides: [Side, Side];
  /** Requests on their way, copies included. */
  readonly requests: { readonly to: 0 | 1; readonly carrier: Carrier; readonly call: number }[];
  readonly responses: { readonly to: 0 | 1; readonly carrier: Carrier; readonly call: number }[];
  nextNumber: number;
  readonly budget: { packets: number; restarts: number; giveUps: number; copies: number; failures: number };
}

function makeNet(budget: Net["budget"]): Net {
  const { a, b } = pair();
  const side = (link: Link): Side => ({ link, periods: [{ life: 1, queued: [], received: [] }], call: 0 });
  return { sides: [side(a), side(b)], requests: [], responses: [], nextNumber: 1, budget: { ...budget } };
}

/** Everything before was of another association. */
function beginPeriod({ link, periods }: Side): void {
  periods.push({ life: link.incarnation, queued: [], received: [] });
}

function otherOf(i: 0 | 1): 0 | 1 {
  return i === 0 ? 1 : 0;
}

/** L1 and L2, judged on what `net.sides[i]` has received. */
function judge(net: Net, i: 0 | 1): void {
  const theirs = net.sides[otherOf(i)].periods;
  let from = -1;
  let lifeBefore = 0;
  for (const { received, life } of net.sides[i].periods) {
    if (life > lifeBefore) from = -1;
    lifeBefore = life;
    if (received.length === 0) continue;
    const at = theirs.findIndex((period) => period.queued.includes(received[0] ?? -1));
    expect(theirs[at]?.queued.slice(0, received.length), "L1: a gap-free prefix").toEqual(received);
    expect(at, "L2: never again of an earlier association").toBeGreaterThan(from);
    from = at;
  }
}

function takeIn(net: Net, i: 0 | 1, { packets, linkDown }: LinkReceived): void {
  const side = net.sides[i];
  if (linkDown !== undefined) beginPeriod(side);
  for (const packet of packets) side.periods.at(-1)?.received.push(numberOf(packet));
  judge(net, i);
}

type Move = (net: Net) => boolean;

/** Everything that may happen to two ends and their calls; each says whether it could happen now. */
function moves(): Move[] {
  const list: Move[] = [];
  for (const i of [0, 1] as const) {
    list.push(
      (net) => {
        if (net.budget.packets === 0) return false;
        net.budget.packets -= 1;
        enqueue(net.sides[i].link, numbered(net.nextNumber), false);
        net.sides[i].periods.at(-1)?.queued.push(net.nextNumber);
        net.nextNumber += 1;
        return true;
      },
      (net) => {
        const carrier = takeRequest(net.sides[i].link);
        if (carrier === undefined) return false;
        net.sides[i].call += 1;
        net.requests.push({ to: otherOf(i), carrier, call: net.sides[i].call });
        return true;
      },
      (net) => {
        if (net.budget.failures === 0 || !net.sides[i].link.inFlight) return false;
        net.budget.failures -= 1;
        net.sides[i].call += 1;
        requestFailed(net.sides[i].link);
        return true;
      },
      (net) => {
        if (net.budget.giveUps === 0) return false;
        net.budget.giveUps -= 1;
        giveUp(net.sides[i].link);
        beginPeriod(net.sides[i]);
        return true;
      },
      (net) => {
        if (net.budget.restarts === 0) return false;
        net.budget.restarts -= 1;
        const { self, peer, incarnation } = net.sides[i].link;
        net.sides[i].link = createLink({ self, peer, incarnation: incarnation + 1 });
        beginPeriod(net.sides[i]);
        net.sides[i].call += 1;
        return true;
      },
    );
  }
  for (const at of [0, 1, 2]) {
    for (const keep of [false, true]) {
      list.push((net) => {
        const request = net.requests[at];
        if (request === undefined || (keep && net.budget.copies === 0)) return false;
        if (keep) net.budget.copies -= 1;
        else net.requests.splice(at, 1);
        const side = net.sides[request.to];
        takeIn(net, request.to, receiveRequest(side.link, request.carrier));
        net.responses.push({ to: otherOf(request.to), carrier: takeResponse(side.link), call: request.call });
        return true;
      });
    }
    list.push((net) => {
      const [response] = net.responses.splice(at, 1);
      if (response === undefined) return false;
      const side = net.sides[response.to];
      if (side.call !== response.call || !side.link.inFlight) return false;
      takeIn(net, response.to, receiveResponse(side.link, response.carrier));
      return true;
    });
  }
  return list;
}

describe("L1 and L2", () => {
  test("hold in every short history", () => {
    const all = moves();
    const seen = new Map<string, number>();
    let histories = 0;
    const explore = (net: Net, depth: number): void => {
      if (depth === 0) return;
      for (const move of all) {
        const next = structuredClone(net);
        if (!move(next)) continue;
        histories += 1;
        const key = JSON.stringify(next);
        if ((seen.get(key) ?? 0) >= depth) continue;
        seen.set(key, depth);
        explore(next, depth - 1);
      }
    };
    explore(makeNet({ packets: 2, restarts: 1, giveUps: 1, copies: 1, failures: 1 }), 7);
    expect(histories).toBeGreaterThan(10_000);
  });

  test("hold in long histories drawn by chance, and everything arrives once nothing fails", () => {
    const all = moves();
    for (let seed = 1; seed <= 1500; seed++) {
      const dice = new Dice(seed);
      const most = (n: number): number => dice.below(n + 1);
      const net = makeNet({
        packets: 12,
        restarts: most(3),
        giveUps: most(3),
        copies: most(6),
        failures: most(8),
      });
      for (let i = 0; i < 80; i++) dice.pick(all)(net);
      settle(net, seed);
    }
  });
});

/** Ends all failures: whatever is queued then must arrive, and the link comes to rest. */
function settle(net: Net, seed: number): void {
  net.requests.length = 0;
  for (const i of [0, 1] as const) {
    if (net.sides[i].link.inFlight) requestFailed(net.sides[i].link);
    remind(net.sides[i].link);
  }
  for (const i of [0, 1, 0, 1] as const) {
    enqueue(net.sides[i].link, numbered(net.nextNumber), false);
    net.sides[i].periods.at(-1)?.queued.push(net.nextNumber);
    net.nextNumber += 1;
    for (let calls = 0; calls < 6; calls++) {
      const request = takeRequest(net.sides[i].link);
      if (request === undefined) break;
      takeIn(net, otherOf(i), receiveRequest(net.sides[otherOf(i)].link, request));
      takeIn(net, i, receiveResponse(net.sides[i].link, takeResponse(net.sides[otherOf(i)].link)));
    }
  }
  for (const i of [0, 1] as const) {
    const queued = net.sides[i].periods.at(-1)?.queued ?? [];
    const received = net.sides[otherOf(i)].periods.at(-1)?.received ?? [];
    expect(received, `seed ${seed}`).toEqual(queued);
  }
}
