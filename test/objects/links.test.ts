/**
 * Proves when members call each other, how long they wait, and that only the current call's answer counts.
 *
 * One end of the links with a fake peer whose answers the test gives or withholds; at the end two real ends
 * with calls lost between them.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { AssertionFailure, makeServerId, type ServerId } from "../../src/base/index.ts";
import { type CallPeer, Links } from "../../src/objects/links.ts";
import { carrierVersion, decodeCarrier, encodeCarrier } from "../../src/objects/packet-codec.ts";
import { type Carrier, type LinkReceived, type Packet, queuePacketsMax } from "../../src/zab/index.ts";

const me = makeServerId(1);
const peer = makeServerId(2);
const other = makeServerId(3);

/** A packet that no other replaces in a queue; `epoch` tells them apart. */
function packet(epoch: number): Packet {
  return { kind: "newEpoch", session: { incarnation: 1, attempt: 1 }, epoch };
}

function epochsOf(packets: readonly Packet[]): number[] {
  return packets.flatMap((each) => (each.kind === "newEpoch" ? [each.epoch] : []));
}

interface Call {
  readonly to: ServerId;
  readonly carrier: Carrier;
  answer(given: Partial<Carrier>): Promise<void>;
  answerBytes(bytes: Uint8Array): Promise<void>;
  fail(): Promise<void>;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function carrierFrom(from: ServerId, given: Partial<Carrier> = {}): Uint8Array {
  return encodeCarrier({
    from,
    to: me,
    fromIncarnation: 4,
    toIncarnation: 7,
    linkNo: 1,
    firstSeq: 1,
    packets: [packet(1)],
    ackSeq: 0,
    status: "ok",
    reads: carrierVersion,
    ...given,
  });
}

/** Both peers have been heard: packets only travel to an end whose incarnation is known. */
class World {
  readonly calls: Call[] = [];
  readonly answered: { peer: ServerId; received: LinkReceived }[] = [];
  readonly links = new Links(me, 7, {
    callPeer: (to, bytes) => this.#call(to, bytes),
    onAnswer: (from, received) => {
      this.answered.push({ peer: from, received });
    },
  });

  constructor({ areStrangers = false } = {}) {
    for (const from of areStrangers ? [] : [peer, other]) {
      this.links.receive(carrierFrom(from, { packets: [] }), me);
      this.links.answer(from);
    }
  }

  /** What the calls since the last question carried. */
  take(): number[][] {
    return this.calls.splice(0).map(({ carrier }) => epochsOf(carrier.packets));
  }

  post(epoch: number, to = peer, lazy = false): void {
    this.links.post({ to, packet: packet(epoch), lazy });
  }

  lastCall(): Call {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error("nobody was called");
    return call;
  }

  /** Ticks until the next call; `undefined` when there is none for long. */
  ticksToCall(): number | undefined {
    const before = this.calls.length;
    for (let ticks = 0; ticks < 100; ticks++) {
      this.links.flush(true);
      if (this.calls.length > before) return ticks;
      this.links.tick();
    }
    return undefined;
  }

  #call: CallPeer = (to, bytes) => {
    const carrier = decodeCarrier(bytes);
    if (carrier === undefined) throw new Error("unreadable");
    return new Promise((resolve, reject) => {
      const answerBytes = (answer: Uint8Array) => {
        resolve(answer);
        return settled();
      };
      this.calls.push({
        to,
        carrier,
        answerBytes,
        answer: (given) => answerBytes(encodeCarrier({ ...answerTo(carrier), ...given })),
        fail: () => {
          reject(new Error("network"));
          return settled();
        },
      });
    });
  };
}

/** The answer of a peer that took everything in and has nothing to say. */
function answerTo(carrier: Carrier): Carrier {
  return {
    from: carrier.to,
    to: carrier.from,
    fromIncarnation: 4,
    toIncarnation: carrier.fromIncarnation,
    linkNo: carrier.linkNo,
    firstSeq: 1,
    packets: [],
    ackSeq: carrier.firstSeq + carrier.packets.length - 1,
    status: "ok",
    reads: carrierVersion,
  };
}

describe("a call", () => {
  test("leaves at the flush, to the right peer, with everything queued for it", () => {
    const world = new World();
    world.post(1);
    world.post(2);
    world.post(3, other);
    expect(world.calls).toEqual([]);
    world.links.flush(false);
    expect(world.calls.map(({ to, carrier }) => [to, epochsOf(carrier.packets)])).toEqual([
      [peer, [1, 2]],
      [other, [3]],
    ]);
    expect(world.calls[0]?.carrier).toMatchObject({ from: me, to: peer, fromIncarnation: 7 });
  });

  test("to a stranger only asks who it is; the packets follow at once", async () => {
    const world = new World({ areStrangers: true });
    world.post(1);
    world.links.flush(false);
    expect(world.lastCall().carrier).toMatchObject({ packets: [], toIncarnation: 0 });
    await world.lastCall().answer({});
    world.links.flush(false);
    expect(world.take()).toEqual([[], [1]]);
  });

  test("is one at a time and peer; what gathers meanwhile goes with the next", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    world.post(2);
    world.post(3);
    world.links.flush(false);
    expect(world.calls).toHaveLength(1);
    await world.lastCall().answer({});
    world.links.flush(false);
    expect(world.take()).toEqual([[1], [2, 3]]);
    world.links.flush(true);
    expect(world.take()).toEqual([]);
  });

  test("is not made for packets that wait for company, unless they may come along", () => {
    const world = new World();
    world.post(1, peer, true);
    world.links.flush(false);
    expect(world.take()).toEqual([]);
    world.post(2);
    world.links.flush(false);
    expect(world.take()).toEqual([[1, 2]]);
    world.post(3, other, true);
    world.links.flush(true);
    expect(world.take()).toEqual([[3]]);
  });

  test("hands on what its answer brought, before the next call", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    await world.lastCall().answer({ packets: [packet(8), packet(9)] });
    expect(world.answered.map((each) => [each.peer, epochsOf(each.received.packets)])).toEqual([
      [peer, [8, 9]],
    ]);
  });

  test("that failed is made again with the same packets and what has come since", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    await world.lastCall().fail();
    world.post(2);
    expect(world.ticksToCall()).toBe(2);
    expect(world.take()).toEqual([[1], [1, 2]]);
  });

  test("that hangs is given up after ten ticks, and its late answer is ignored", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    const hanging = world.lastCall();
    for (let ticks = 0; ticks < 9; ticks++) world.links.tick();
    world.post(2);
    world.links.flush(true);
    expect(world.calls).toHaveLength(1);
    world.links.tick();
    expect(world.ticksToCall()).toBe(2);
    await hanging.answer({ packets: [packet(9)] });
    expect(world.answered).toEqual([]);
    await world.lastCall().answer({ packets: [packet(9)] });
    expect(world.answered).toHaveLength(1);
    expect(world.take()).toEqual([[1], [1, 2]]);
  });

  test("given up whose failure comes late changes nothing", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    const hanging = world.lastCall();
    for (let ticks = 0; ticks < 10; ticks++) world.links.tick();
    expect(world.ticksToCall()).toBe(2);
    await hanging.fail();
    await world.lastCall().answer({});
    expect(world.answered).toHaveLength(1);
  });

  test("waits 2, 4, 8 and then 16 ticks after failures in a row, and not at all after an answer", async () => {
    const world = new World();
    world.post(1);
    const waits: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      waits.push(world.ticksToCall());
      await world.lastCall().fail();
    }
    expect(waits).toEqual([0, 2, 4, 8, 16, 16]);
    world.ticksToCall();
    await world.lastCall().answer({});
    world.post(2);
    expect(world.ticksToCall()).toBe(0);
    await world.lastCall().fail();
    expect(world.ticksToCall()).toBe(2);
  });

  test("to a peer that fails does not hold up another", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    await world.lastCall().fail();
    world.post(2, other);
    world.links.flush(false);
    expect(world.lastCall().to).toBe(other);
  });

  test.each([
    ["unreadable bytes", Uint8Array.of(1, 2, 3)],
    ["nothing", new Uint8Array(0)],
    ["another version", Uint8Array.of(9)],
  ])("answered with %s has failed", async (_, bytes) => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    await world.lastCall().answerBytes(bytes);
    expect([world.answered, world.ticksToCall()]).toEqual([[], 2]);
  });

  test("answered by somebody else has failed", async () => {
    const world = new World();
    world.post(1);
    world.links.flush(false);
    await world.lastCall().answer({ from: other });
    expect([world.answered, world.ticksToCall()]).toEqual([[], 2]);
  });
});

describe("a peer's call", () => {
  test("is delivered, and answered with what is queued for it", () => {
    const world = new World();
    const { links } = world;
    const delivery = links.receive(carrierFrom(peer), me);
    expect(delivery?.peer).toBe(peer);
    expect(epochsOf(delivery?.received.packets ?? [])).toEqual([1]);
    world.post(5);
    const answer = decodeCarrier(links.answer(peer));
    expect(answer).toMatchObject({ to: peer, ackSeq: 1, status: "ok" });
    expect(epochsOf(answer?.packets ?? [])).toEqual([5]);
  });

  test.each([
    ["unreadable", Uint8Array.of(1)],
    ["for another member", carrierFrom(peer, { to: other })],
    ["from itself", carrierFrom(me)],
    ["from this member itself", carrierFrom(me)],
  ])("that is %s is refused, and delivers nothing", (_, bytes) => {
    expect(new World().links.receive(bytes, me)).toBeUndefined();
  });

  test("that cannot be read is counted, and each reason in a row is logged once", () => {
    const logged = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const { links } = new World();
    for (const bytes of [Uint8Array.of(9), Uint8Array.of(9), new Uint8Array(0)]) links.receive(bytes, me);
    expect(links.unreadable).toBe(3);
    expect(logged.mock.calls.flat()).toEqual([
      `Refused a call: carrier version 9, wanted ${carrierVersion}`,
      "Refused a call: an empty carrier",
    ]);
    links.receive(carrierFrom(peer, { to: other }), me);
    expect(links.unreadable).toBe(3);
    logged.mockRestore();
  });

  test("that comes twice is delivered once", () => {
    const { links } = new World();
    expect(links.receive(carrierFrom(peer), me)?.received.packets).toHaveLength(1);
    links.answer(peer);
    expect(links.receive(carrierFrom(peer), me)?.received.packets).toHaveLength(0);
  });

  test("whose answer was never acknowledged gets a call of ours after five ticks, and not before", () => {
    const world = new World();
    world.links.receive(carrierFrom(peer), me);
    world.post(5);
    world.links.answer(peer);
    for (let ticks = 0; ticks < 4; ticks++) {
      world.links.tick();
      world.links.flush(true);
    }
    expect(world.take()).toEqual([]);
    world.links.tick();
    world.links.flush(true);
    expect(world.take()).toEqual([[5]]);
  });

  test("that acknowledges an answer leaves nothing to remind of", () => {
    const world = new World();
    world.links.receive(carrierFrom(peer), me);
    world.post(5);
    world.links.answer(peer);
    world.links.receive(carrierFrom(peer, { firstSeq: 2, packets: [], ackSeq: 1 }), me);
    expect(world.ticksToCall()).toBeUndefined();
  });
});

describe("post()", () => {
  test("takes queuePacketsMax packets; one more loses all, and the peer must be told", () => {
    const { links } = new World();
    const post = (epoch: number) => links.post({ to: peer, packet: packet(epoch), lazy: false });
    for (let epoch = 0; epoch < queuePacketsMax; epoch++) expect(post(epoch)).toBeUndefined();
    expect(post(1)).toBe("lost");
    expect(post(1)).toBeUndefined();
  });

  test("to itself is a bug", () => {
    const { links } = new World();
    expect(() => links.post({ to: me, packet: packet(1), lazy: false })).toThrow(AssertionFailure);
    expect(() => links.answer(makeServerId(9))).toThrow(AssertionFailure);
  });
});

/**
 * A real end of the deployed code and one of the version before: the codec of today, but it refuses a carrier
 * of version 2, as an exception, and says nothing of what it reads.
 */
class MixedPair {
  readonly heard: Record<number, Packet[]> = { 1: [], 2: [] };
  readonly downs: Record<number, unknown[]> = { 1: [], 2: [] };
  refused = 0;
  /** Of the second end: it may change with its incarnation. */
  isOld = true;
  ours = this.#begin(me, 1);
  theirs = this.#begin(peer, 1);

  /** The second end has lost its memory, and runs another version from here on. */
  restart(isOld: boolean, incarnation: number): void {
    this.isOld = isOld;
    this.theirs = this.#begin(peer, incarnation);
  }

  async step(ticks: number): Promise<void> {
    for (let i = 0; i < ticks; i++) {
      for (const links of [this.ours, this.theirs]) {
        links.tick();
        links.flush(true);
      }
      await settled();
    }
  }

  #begin(self: ServerId, incarnation: number): Links {
    return new Links(self, incarnation, {
      callPeer: (to, bytes) => this.#call(self, to, bytes),
      onAnswer: (_, received) => this.#hear(self, received),
    });
  }

  async #call(from: ServerId, to: ServerId, request: Uint8Array): Promise<Uint8Array> {
    const far = to === me ? this.ours : this.theirs;
    const delivery = far.receive(this.#onTheWay(from, to, request), to);
    if (delivery === undefined) throw new Error("refused");
    this.#hear(to, delivery.received);
    return this.#onTheWay(to, from, far.answer(from));
  }

  #onTheWay(from: ServerId, to: ServerId, bytes: Uint8Array): Uint8Array {
    if (to === peer && this.isOld && bytes[0] !== carrierVersion - 1) {
      this.refused += 1;
      throw new Error(`refuses a carrier: carrier version ${bytes[0]}, wanted ${carrierVersion - 1}`);
    }
    return from === peer && this.isOld ? bytes.subarray(0, -1) : bytes;
  }

  #hear(self: ServerId, { linkDown, packets }: LinkReceived): void {
    if (linkDown !== undefined) this.downs[self]?.push(linkDown);
    this.heard[self]?.push(...packets);
  }
}

describe("a link to a member of the version before", () => {
  const session = { incarnation: 1, attempt: 1 };
  const solicit: Packet = { kind: "solicit", epoch: 1 };
  const wake: Packet = { kind: "wake", session, epoch: 1 };

  test.each([
    ["nobody was heard", 0],
    ["it was heard", 5],
  ])("goes on when a packet without a session that it lacks was queued before %s", async (_, ticks) => {
    const pair = new MixedPair();
    pair.ours.post({ to: peer, packet: packet(1), lazy: false });
    await pair.step(ticks);
    for (const each of [solicit, packet(2), solicit]) pair.ours.post({ to: peer, packet: each, lazy: false });
    pair.theirs.post({ to: me, packet: packet(3), lazy: false });
    await pair.step(40);
    expect([pair.heard[2], pair.heard[1]]).toEqual([[packet(1), packet(2)], [packet(3)]]);
    expect([pair.downs, pair.refused]).toEqual([{ 1: [], 2: [] }, 0]);
  });

  test("is told as lost, and begins anew, when a packet of a session is queued that it lacks", async () => {
    const pair = new MixedPair();
    pair.ours.post({ to: peer, packet: packet(1), lazy: false });
    await pair.step(5);
    expect(pair.ours.post({ to: peer, packet: wake, lazy: false })).toBe("lost");
    pair.ours.post({ to: peer, packet: packet(2), lazy: false });
    await pair.step(5);
    expect([pair.heard[2], pair.downs[2]]).toEqual([[packet(1), packet(2)], ["lost"]]);
    expect(pair.refused).toBe(0);
  });

  test("goes on when it came back with that version, unnoticed, and the packet is on its way", async () => {
    const pair = new MixedPair();
    pair.isOld = false;
    pair.ours.post({ to: peer, packet: wake, lazy: false });
    await pair.step(5);
    expect(pair.heard[2]).toEqual([wake]);
    pair.restart(true, 2);
    pair.ours.post({ to: peer, packet: wake, lazy: false });
    await pair.step(10);
    // Refused once; then it is asked, and what was meant for its former incarnation is dropped.
    expect([pair.refused, pair.downs[1]]).toEqual([1, ["restarted"]]);
    for (const each of [packet(2), packet(3)]) pair.ours.post({ to: peer, packet: each, lazy: false });
    await pair.step(10);
    expect(pair.heard[2]).toEqual([wake, packet(2), packet(3)]);
  });

  test("takes those packets again once it runs this version", async () => {
    const pair = new MixedPair();
    pair.ours.post({ to: peer, packet: packet(1), lazy: false });
    await pair.step(5);
    pair.restart(false, 2);
    await pair.step(5);
    pair.ours.post({ to: peer, packet: packet(2), lazy: false });
    await pair.step(10);
    pair.ours.post({ to: peer, packet: solicit, lazy: false });
    await pair.step(10);
    expect(pair.heard[2]).toEqual([packet(1), solicit]);
    expect([pair.downs[1], pair.refused]).toEqual([["restarted"], 0]);
  });
});

/** Two real ends; `lose` decides the fate of each call. */
class Pair {
  readonly heard: Record<number, number[]> = { 1: [], 2: [] };
  readonly #ends = new Map<ServerId, Links>();
  readonly #lose: () => "request" | "answer" | "nothing";

  constructor(lose: () => "request" | "answer" | "nothing") {
    this.#lose = lose;
    for (const self of [me, peer]) {
      const links = new Links(self, 1, {
        callPeer: (to, bytes) => this.#call(self, to, bytes),
        onAnswer: (_, received) => this.#hear(self, received),
      });
      this.#ends.set(self, links);
    }
  }

  end(self: ServerId): Links {
    const links = this.#ends.get(self);
    if (links === undefined) throw new Error("no such end");
    return links;
  }

  async #call(from: ServerId, to: ServerId, bytes: Uint8Array): Promise<Uint8Array> {
    const fate = this.#lose();
    if (fate === "request") throw new Error("lost");
    const far = this.end(to);
    const delivery = far.receive(bytes, to);
    if (delivery === undefined) throw new Error("refused");
    this.#hear(to, delivery.received);
    const answer = far.answer(from);
    if (fate === "answer") throw new Error("lost");
    return answer;
  }

  #hear(self: ServerId, received: LinkReceived): void {
    if (received.linkDown !== undefined) throw new Error("a link that only fails stays up");
    this.heard[self]?.push(...epochsOf(received.packets));
  }
}

test("two ends deliver everything in order, once, whichever calls and answers get lost (property)", async () => {
  const fate = fc.constantFrom("nothing" as const, "request" as const, "answer" as const);
  const post = fc.constantFrom(me, peer);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 20 }),
      fc.array(post, { maxLength: 20 }),
      async (fates, posts) => {
        const left = [...fates];
        const pair = new Pair(() => left.shift() ?? "nothing");
        const ends = [pair.end(me), pair.end(peer)];
        const step = async () => {
          for (const links of ends) {
            links.tick();
            links.flush(true);
          }
          await settled();
        };
        for (const [i, to] of posts.entries()) {
          pair.end(to === me ? peer : me).post({ to, packet: packet(i + 1), lazy: i % 3 === 0 });
          if (i % 2 === 0) await step();
        }
        const wanted = (self: ServerId) => posts.flatMap((to, i) => (to === self ? [i + 1] : []));
        for (
          let ticks = 0;
          ticks < 400 && (pair.heard[1]?.length ?? 0) + (pair.heard[2]?.length ?? 0) < posts.length;
          ticks++
        )
          await step();
        expect(pair.heard).toEqual({ 1: wanted(me), 2: wanted(peer) });
      },
    ),
    { numRuns: 60 },
  );
});
