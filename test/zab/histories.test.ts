/**
 * Histories that broke other implementations, where one conversation is not enough: every order of boots,
 * every page, every step at which a member can die, and what a broken or forgetful member may say.
 *
 * Rows are those of `docs/internals/histories.md`; the conversations are in `fixtures/histories-*.txt`.
 * The checkers of `ghost.ts` watch every step of the scripts.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { assert, makeServerId, ZERO_ZXID } from "../../src/base/index.ts";
import type { Packet } from "../../src/zab/index.ts";
import { Bench, diskWith, ids } from "./bench.ts";
import { outline } from "./histories.ts";
import { Script, type StepEnd } from "./script.ts";

const { one, two, three } = ids;

function run(script: Script, commands: readonly string[]): string[] {
  return commands.flatMap((command) => script.run(command));
}

/** A log without its owner: `base=0x0 0x100000001=a`. */
function logOf(script: Script, member: number): string {
  const [line] = script.run(`log ${member}`);
  assert(line !== undefined, "a log is one line");
  return line.slice(`${member} log `.length);
}

function payloadsOf(log: string): string {
  return [...log.matchAll(/=(\w)(?= |$)/g)].map(([, payload]) => payload).join("");
}

function stateOf(script: Script, member: number): string {
  return script.run("state").find((line) => line.startsWith(`${member} `)) ?? "";
}

function orders(members: readonly number[]): number[][] {
  if (members.length === 0) return [[]];
  return members.flatMap((first) =>
    orders(members.filter((each) => each !== first)).map((rest) => [first, ...rest]),
  );
}

describe("histories: row 7 (ZK-582): everything compacted through (27,9)", () => {
  const compacted = () => {
    const disk = diskWith({ acceptedEpoch: 27, currentEpoch: 27 }, [[27, 9]]);
    disk.write({ kind: "checkpoint", applied: disk.last });
    disk.write({ kind: "compact", base: { epoch: 27, counter: 9 } });
    return disk;
  };

  test("a member reports (27,9)", () => {
    const bench = new Bench({ id: two, disk: compacted() });
    bench.decideFor(one);
    expect(bench.lastTo(one, "cepoch")).toMatchObject({ acceptedEpoch: 27, outline: outline("27.9 |") });
    expect(bench.status).toMatchObject({ lastLogged: { epoch: 27, counter: 9 } });
  });

  test("a leader chooses epoch 28, and starts counting anew", () => {
    const bench = new Bench({ id: one, disk: compacted() });
    bench.lead(two);
    expect(bench.lastTo(two, "newEpoch").epoch).toBe(28);
    bench.submit("a");
    expect(bench.status.lastLogged).toEqual({ epoch: 28, counter: 1 });
  });
});

test("histories: row 14 (ZK-4685): an ACK from a learner that has not sent ACKLEADER ends its session, nothing else", () => {
  const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 2]]) });
  bench.decideFor(one);
  const session = bench.hearCEpoch(two, 1, outline("0.0 | 1x1"));
  const promise = { session, epoch: 2, outline: outline("0.0 | 1x1"), delivered: ZERO_ZXID } as const;
  bench.hear(two, { kind: "ackEpoch", currentEpoch: 1, ...promise });
  bench.hear(two, { kind: "ack", session, epoch: 2, through: { epoch: 1, counter: 2 } });
  expect(bench.lastTo(two, "refuse").reason).toBe("outOfOrder");
  expect(bench.status).toMatchObject({ role: "leading", phase: "synchronization", lastCommitted: ZERO_ZXID });
  expect(bench.status.halted).toBeUndefined();
  // What it says afterwards in that session is not heard.
  bench.hear(two, { kind: "ackLeader", session, epoch: 2, syncEnd: { epoch: 1, counter: 2 } });
  expect(bench.status.phase).toBe("synchronization");
});

describe("histories: row 17 (ZK-4925): a hole", () => {
  test.each<[string, Packet["kind"], number]>([
    ["in a synchronization", "entries", 6],
    ["in a synchronization, twice the same", "entries", 3],
    ["between proposals", "propose", 6],
  ])("%s is refused by the learner, and nothing is stored", (_name, kind, first) => {
    const bench = new Bench({ id: three, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 4]]) });
    const session = kind === "propose" ? bench.serve(two, 2, { epoch: 1, counter: 4 }) : bench.follow(two, 2);
    const epoch = 2;
    if (kind === "entries") {
      const sync = { after: { epoch: 1, counter: 4 }, syncEnd: { epoch: 1, counter: 9 } };
      bench.hear(two, { kind: "sync", session, epoch, mode: "diff", ...sync, snapshotId: 0 });
    }
    const batch = { epoch: kind === "propose" ? 2 : 1, first, payloads: [Uint8Array.of(1)] };
    const prev = { epoch: batch.epoch, counter: first - 1 };
    const before = bench.disk.log.length;
    bench.hear(
      two,
      kind === "propose"
        ? { kind: "propose", session, epoch, prev, batch, commitTo: ZERO_ZXID }
        : { kind: "entries", session, epoch, prev, batch },
    );
    expect(bench.disk.log.length).toBe(before);
    expect(bench.status).toMatchObject({ phase: "discovery", serving: { kind: "none" } });
    expect(bench.status.halted).toBeUndefined();
  });
});

describe("histories: row 22 (ZK-4837): what was applied is never truncated", () => {
  test("a leader that lacks it refuses the learner instead (D9)", () => {
    const bench = new Bench({ id: one, disk: diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 6]]) });
    bench.lead(two);
    const session = bench.hearCEpoch(three, 1, outline("0.0 | 1x8"));
    const delivered = { epoch: 1, counter: 8 };
    const history = { outline: outline("0.0 | 1x8"), delivered } as const;
    const { send } = bench.hear(three, { kind: "ackEpoch", session, epoch: 2, currentEpoch: 1, ...history });
    expect(send.map(({ packet }) => packet.kind)).toEqual(["refuse"]);
    expect(bench.lastTo(three, "refuse").reason).toBe("damaged");
  });

  test.each(["trunc", "snap"] as const)("a learner told to (%s) stops, and keeps its log", (mode) => {
    const disk = diskWith({ acceptedEpoch: 1, currentEpoch: 1 }, [[1, 8]]);
    disk.write({ kind: "checkpoint", applied: disk.last });
    const bench = new Bench({ id: three, disk });
    const session = bench.follow(one, 2);
    const after = { epoch: 1, counter: 6 };
    bench.hear(one, { kind: "sync", session, epoch: 2, mode, after, syncEnd: after, snapshotId: 1 });
    expect(bench.status.halted).toBeDefined();
    expect(disk.log.length).toBe(8);
  });
});

test("histories: row 32 (ZK-2988), variant: what a stranger says is ignored", () => {
  const stranger = makeServerId(9);
  const bench = new Bench({ id: one });
  const { round } = bench.status;
  const vote = { leader: stranger, lastZxid: { epoch: 9, counter: 9 }, currentEpoch: 9 };
  const rest = { confirmed: true, wantsAnswer: true } as const;
  for (const state of ["looking", "following", "leading"] as const) {
    const { send } = bench.hear(stranger, { kind: "notify", state, round: round + 5, vote, ...rest });
    expect(send).toEqual([]);
  }
  bench.lead(two);
  const session = { incarnation: 1, attempt: 1 };
  const epochs = { acceptedEpoch: 9, currentEpoch: 9, outline: outline("0.0 | 9x9"), observer: false };
  const { send } = bench.hear(stranger, { kind: "cepoch", session, ...epochs });
  expect(send).toEqual([]);
  expect(bench.status).toMatchObject({ serving: { kind: "leading", epoch: 1 }, round });
});

describe("histories: row 59: the whole ensemble restarts", () => {
  test.each(orders([1, 2, 3]).map((order) => [order] as const))("in the order %j", (order) => {
    const script = new Script();
    run(script, ["ensemble voters=(1,2,3)", "boot *", "elect 1", "propose 1 a b c d e", "settle"]);
    run(script, ["checkpoint *", "propose 1 f", "settle", "cut 3", "propose 1 g h", "settle"]);
    run(script, ["cut 2", "propose 1 i", "settle"]);
    const before = [1, 2, 3].map((member) => payloadsOf(logOf(script, member)));
    expect(before).toEqual(["abcdefghi", "abcdefgh", "abcdef"]);
    expect(stateOf(script, 1)).toContain("committed=0x100000008");
    run(script, ["crash *", "heal"]);

    const [first = 0, second = 0, third = 0] = order;
    run(script, [`boot ${first}`, "tick 24"]);
    // Alone it has no more than its checkpoint.
    expect(stateOf(script, first)).toContain("committed=0x100000005");
    run(script, [`boot ${second}`, "tick 40", `boot ${third}`, "tick 24"]);
    expect(script.recovers()).toBe(true);
    const logs = [1, 2, 3].map((member) => logOf(script, member));
    expect(new Set(logs).size).toBe(1);
    expect(payloadsOf(logs[0] ?? "")).toMatch(/^abcdefghi?$/);
  });
});

describe("histories: row 63: eviction between two pages of a snapshot", () => {
  const cases = [0, 1, 2, 3, 4].flatMap((page) => [
    ["learner", 3, page] as const,
    ["source", 1, page] as const,
  ]);
  test.each(cases)("of the %s (%i), before page %i", (_name, victim, page) => {
    const script = new Script();
    run(script, ["ensemble voters=(1,2,3) pages=5 inFlightBytesMax=1", "boot *", "elect 1"]);
    run(script, ["propose 1 a", "settle", "crash 3", "propose 1 b c", "settle"]);
    run(script, ["checkpoint *", "compact 1 0x100000003", "compact 2 0x100000003"]);
    const before = logOf(script, 3);
    run(script, [`lose 1->3 snapPage ${page}`, "boot 3", "settle"]);
    expect(logOf(script, 3)).toBe(before);
    run(script, [`crash ${victim}`, "settle"]);
    expect(logOf(script, 3)).toBe(before);
    // Another state is the next one's source: nothing of the first may be mixed with it.
    run(script, [`boot ${victim}`, "settle", "tick 24", "propose 1 d", "propose 2 d", "settle", "tick 2"]);
    expect(script.recovers()).toBe(true);
    expect(payloadsOf(logOf(script, 3))).toBe("d");
    expect(logOf(script, 3)).toContain("base=0x100000003");
  });
});

/** A reign that ends, its leftovers truncated, a learner brought level, work, in one go. */
const busyLife: readonly string[] = [
  ...["boot *", "elect 3", "propose 3 a", "settle", "cut 3", "propose 3 x y", "settle"],
  ...["restart 1", "restart 2", "elect 1", "propose 1 b c", "settle", "checkpoint *"],
  ...["heal", "restart 3", "settle", "tick 4", "propose 1 d", "settle", "restart 1", "tick 20"],
  ...["propose 1 e", "propose 2 e", "propose 3 e", "settle"],
];

describe("histories: row 64: a step that ends between two of its effects", () => {
  const kinds = [
    ["diffs", "ensemble voters=(1,2,3) packetBytesMax=1 inFlightBytesMax=1"],
    ["snapshots", "ensemble voters=(1,2,3) pages=2 inFlightBytesMax=1 forceSnapshot=yes"],
  ] as const;
  const ends: readonly StepEnd[] = ["nothing", "stored", "half", "sent"];
  const cases = kinds.flatMap(([name, ensemble]) => ends.map((end) => [name, end, ensemble] as const));
  test.each(cases)("with %s, each step in turn getting as far as %s", (_name, end, ensemble) => {
    const whole = new Script();
    run(whole, [ensemble, ...busyLife]);
    expect(whole.steps).toBeGreaterThan(60);
    for (let step = 1; step <= whole.steps; step++) {
      const script = new Script();
      script.interruptAt(step, end);
      const printed = run(script, [ensemble, ...busyLife]);
      expect(
        printed.filter((line) => line.includes("halts")),
        `step ${step}`,
      ).toEqual([]);
      expect(script.recovers(), `step ${step}: recovers`).toBe(true);
    }
  });
});

describe("histories: row 65, variant: a voter has lost what it acknowledged", () => {
  /** Established, (1,1) to (1,9) committed with 2; 3 is away. */
  const established = () => {
    const bench = new Bench({ id: one });
    const session = bench.lead(two);
    bench.submit("a", "b", "c", "d", "e", "f", "g", "h", "i");
    bench.hear(two, { kind: "ack", session, epoch: 1, through: { epoch: 1, counter: 9 } });
    expect(bench.status.lastCommitted).toEqual({ epoch: 1, counter: 9 });
    return bench;
  };
  const returns = (bench: Bench, history: string) => {
    const session = bench.hearCEpoch(two, 1, outline(history), 2);
    const said = { outline: outline(history), delivered: ZERO_ZXID } as const;
    return bench.hear(two, { kind: "ackEpoch", session, epoch: 1, currentEpoch: 1, ...said });
  };

  test.each(["0.0 | 1x3", "0.0 | 1x8", "0.0 |"])("and has %s: it is told so, and not counted", (history) => {
    const bench = established();
    const { send } = returns(bench, history);
    expect(send.map(({ packet }) => packet.kind)).toEqual(["refuse"]);
    expect(bench.lastTo(two, "refuse").reason).toBe("damaged");
    bench.submit("j");
    expect(bench.status.lastCommitted).toEqual({ epoch: 1, counter: 9 });
  });

  test.each(["0.0 | 1x9", "1.9 |"])("but not this one: it has %s, and is brought level", (history) => {
    const { send } = returns(established(), history);
    expect(send.map(({ packet }) => packet.kind)).toEqual(["sync", "newLeader"]);
  });

  test("and asks again, twice: it learns, and is still not counted", () => {
    const bench = established();
    for (const attempt of [2, 3]) {
      const session = bench.hearCEpoch(two, 0, outline("0.0 | 1x3"), attempt);
      const said = { outline: outline("0.0 | 1x3"), delivered: ZERO_ZXID } as const;
      bench.hear(two, { kind: "ackEpoch", session, epoch: 1, currentEpoch: 0, ...said });
      bench.hear(two, { kind: "ackLeader", session, epoch: 1, syncEnd: { epoch: 1, counter: 9 } });
    }
    bench.submit("j");
    const session = { incarnation: 1, attempt: 3 };
    bench.hear(two, { kind: "ack", session, epoch: 1, through: { epoch: 1, counter: 10 } });
    expect(bench.status.lastCommitted).toEqual({ epoch: 1, counter: 9 });
    expect(bench.lastTo(two, "upToDate").commitTo).toEqual({ epoch: 1, counter: 9 });
  });
});
