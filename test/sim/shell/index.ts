/**
 * One run in the world of members: a storm, a calm, and the judgement.
 *
 * @module
 */

import { compareZxid, formatZxid, OpCode, type ServerId, type Zxid } from "../../../src/base/index.ts";
import { decodeTxn } from "../../../src/jute/index.ts";
import type { Answer, Call, MemberStatus } from "../../../src/objects/index.ts";
import { checkGrants } from "../checks/locks.ts";
import { checkExpiry } from "../checks/sessions.ts";
import { type Committed, changesOf, Story } from "../checks/story.ts";
import { checkStream } from "../checks/streams.ts";
import { checkWatches } from "../checks/watches.ts";
import { RandomChooser } from "../choose.ts";
import type { MemberOutcome } from "../totals.ts";
import { Violation, violate } from "../violation.ts";
import type { Host } from "./platform.ts";
import { drawShellSettings, type ShellSettings } from "./settings.ts";
import { ShellWorld } from "./world.ts";

export interface ShellOptions {
  readonly toleratesHalts?: boolean | undefined;
  readonly log?: ((line: string) => void) | undefined;
  readonly settings?: ((drawn: ShellSettings) => ShellSettings) | undefined;
}

/** Runs one seed to its end, or to the first broken promise. One run at a time: it borrows the global scope. */
export async function simulateMembers(seed: number, options: ShellOptions = {}): Promise<MemberOutcome> {
  // Other draws than the fast world's of the same seed.
  const chooser = new RandomChooser(seed + 0x5e11);
  const drawn = drawShellSettings(chooser);
  const world = new ShellWorld(chooser, options.settings?.(drawn) ?? drawn, options.toleratesHalts ?? false);
  world.log = options.log;
  let violation: Violation | undefined;
  let commits = 0;
  world.platform.enter();
  try {
    commits = await live(world);
  } catch (error) {
    if (error instanceof Violation) violation = error;
    else if (error instanceof Error) {
      violation = new Violation(error.name === "AssertionFailure" ? "assertion" : "exception", error.message);
      violation.stack = error.stack ?? "";
    } else throw error;
  } finally {
    world.platform.exit();
  }
  const items = world.streams.flatMap((stream) => stream.items);
  return {
    seed,
    violation,
    events: world.events,
    hash: world.hash,
    nowMs: world.now,
    commits,
    replies: items.filter(({ kind }) => kind === "reply").length,
    watchEvents: items.filter(({ kind }) => kind === "event").length,
    counts: world.counts,
  };
}

/** How long the calm may take: sessions of clients that vanished have to end in it. */
const calmMs = 15_000;
const settleMs = 60_000;

async function live(world: ShellWorld): Promise<number> {
  const { settings } = world;
  world.begin();
  await world.run(settings.stormMs);
  world.becalm();
  await world.run(world.now + calmMs);
  const { story, members } = await tell(world, calmMs + settleMs);
  for (const stream of world.streams) {
    checkStream(story, stream);
    checkWatches(story, stream);
  }
  checkGrants(story, world.grants);
  const { expired } = checkExpiry(story, {
    sessions: world.sessions,
    decidedAt: (zxid, timeMs) => world.decidedAt(zxid, timeMs),
    arrivals: (from, to) => world.arrivals(from, to),
    lapses: world.lapses,
    ledSince: (leader, epoch) => world.reigns.get(`${leader} ${epoch}`),
    jumps: world.jumps,
    gapMs: 4_000,
    endMs: world.now,
  });
  const changes = story.committed.filter(({ txn }) => txn.op.kind === "reconfig").length;
  if (changes > 0) world.counts.set("reconfigurations", changes);
  world.counts.set("sessions opened", story.opens.size);
  world.counts.set("sessions expired", expired);
  world.counts.set("resource accepted", world.resource.accepted);
  world.counts.set("resource refused", world.resource.refused);
  await compareMembers(world, story, members);
  return story.committed.length;
}

/** What was committed, and the members that agree on it. */
interface Ending {
  readonly story: Story;
  readonly members: ReadonlySet<ServerId>;
}

/**
 * Waits for everybody to agree and every client to be there, then reads the log.
 *
 * Until members are compared with it no time may pass: locks still lapse, and each is a txn that the story lacks.
 */
async function tell(world: ShellWorld, withinMs: number): Promise<Ending> {
  const { hosts } = world.platform;
  const deadline = world.now + withinMs;
  world.isQuiet = true;
  let members: ReadonlySet<ServerId> = new Set();
  for (let reason = ""; ; ) {
    reason = disagreement(await statuses(world));
    if (reason === "") reason = await lastWords(world);
    // Sessions may have lapsed meanwhile: once more, at one moment.
    if (reason === "") {
      const all = await Promise.all(hosts.map((host) => host.wake().member.inspect()));
      reason = disagreement(all);
      members = membersOf(all);
    }
    if (reason === "") break;
    if (world.now > deadline) violate("LV1", `in the calm ${reason}`);
    await world.run(world.now + 500);
  }
  const committed = wholeLog(world, members).map(({ zxid, payload }): Committed => {
    const txn = decodeTxn(payload) ?? violate("B1", `${formatZxid(zxid)} is damaged`);
    return { zxid, txn };
  });
  return { story: new Story(committed), members };
}

/**
 * The log of the member that has most of it. The others' are the same; of a member that came later, the end.
 */
function wholeLog(world: ShellWorld, members: ReadonlySet<ServerId>): ReturnType<ShellWorld["storedLog"]> {
  const hosts = world.platform.hosts.filter(({ id }) => members.has(id));
  const logs = hosts.map((host) => world.storedLog(host));
  const whole = logs.reduce((longest, log) => (log.length > longest.length ? log : longest), []);
  for (const [at, log] of logs.entries()) {
    const skipped = whole.length - log.length;
    log.forEach(({ zxid, payload }, place) => {
      const other = whole[skipped + place];
      const isSame =
        other !== undefined && compareZxid(other.zxid, zxid) === 0 && isEqual(other.payload, payload);
      if (!isSame) violate("I5", `${hosts[at]?.id} has another log at ${formatZxid(zxid)}`);
    });
    const isNew = (hosts[at]?.id ?? 0) > world.settings.voters + world.settings.observers;
    if (skipped > 0 && !isNew) violate("LV2", `${hosts[at]?.id} lacks ${skipped} txns`);
  }
  return whole;
}

async function statuses(world: ShellWorld): Promise<MemberStatus[]> {
  return Promise.all(world.platform.hosts.map((host) => askNow<MemberStatus>(world, host, "inspect", [])));
}

/** Asks a member at once, without a network between. */
async function askNow<Result>(
  world: ShellWorld,
  host: Host,
  method: string,
  args: readonly unknown[],
): Promise<Result> {
  let answer: Result | undefined;
  world.after(0, () => {
    world.ask(host.id, method, args, (given) => {
      answer = given as Result;
    });
  });
  for (let waited = 0; answer === undefined && waited < 100; waited++) await world.run(world.now + 100);
  return answer ?? violate("LV3", `${host.id} does not answer ${method}`);
}

function disagreement(all: readonly MemberStatus[]): string {
  const leader = all.find(({ serving, role }) => serving && role === "leading");
  if (leader === undefined) return "nobody leads";
  const members = membersOf(all);
  for (const { id, epoch, serving, configVersion, lastApplied, lastLogged } of all) {
    if (!members.has(id)) {
      if (serving) return `${id} is no member and serves`;
      continue;
    }
    if (configVersion !== leader.configVersion) return `${id} counts with other members`;
    if (epoch !== leader.epoch) return `${id} is in epoch ${epoch}, not ${leader.epoch}`;
    if (lastApplied !== leader.lastLogged || lastLogged !== leader.lastLogged) return `${id} is behind`;
  }
  return "";
}

/** Of the configuration that the leader knows. */
function membersOf(all: readonly MemberStatus[]): ReadonlySet<ServerId> {
  const leader = all.find(({ serving, role }) => serving && role === "leading");
  return new Set([...(leader?.voters ?? []), ...(leader?.observers ?? [])]);
}

/** Every client that is there says something, so that everything it was to hear has come. */
async function lastWords(world: ShellWorld): Promise<string> {
  const missing = new Set(world.clients.filter(({ isGone }) => !isGone));
  for (const client of missing) {
    if (!client.isOpen) return `client ${client.id} is not connected`;
    client.request({ type: OpCode.Sync, path: "/" }, (reply) => {
      if (reply !== undefined) missing.delete(client);
    });
  }
  await world.run(world.now + 1_000);
  return missing.size === 0 ? "" : `client ${[...missing][0]?.id} is not answered`;
}

/** Every member tells the same of every path there ever was, and that is what the story says. */
async function compareMembers(
  world: ShellWorld,
  story: Story,
  members: ReadonlySet<ServerId>,
): Promise<void> {
  const paths = new Set(story.committed.flatMap(({ txn }) => changesOf(txn).map(({ path }) => path)));
  const tip: Zxid = story.committed.at(-1)?.zxid ?? { epoch: 0, counter: 0 };
  for (const host of world.platform.hosts) {
    if (!members.has(host.id)) continue;
    for (const path of paths) {
      const znode = story.at(path, tip);
      const call: Call = {
        request: { type: OpCode.GetData, path, watch: false },
        identities: [],
        consistency: "local",
      };
      const answer = await askDirectly(host, call);
      if (answer.kind !== "answered") violate("I9", `${host.id} does not answer: ${answer.kind}`);
      const { body } = answer.outcome;
      const version = body?.kind === "data" ? body.stat.version : undefined;
      if (version !== znode?.version) violate("I9", `${host.id} ends with another ${path}`);
    }
  }
}

async function askDirectly(host: Host, call: Call): Promise<Answer> {
  return host.wake().member.perform(call);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
