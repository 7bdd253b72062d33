/**
 * One run: a world, a seed, and the storm between them.
 *
 * Decides when everything happens and which faults strike; the world decides what that does. After the
 * storm comes the calm: a core of members is healed, and progress within a stated number of ticks is
 * demanded of it, then of everybody.
 *
 * @module
 */

import { equalZxid, formatZxid, type ServerId } from "../../src/base/index.ts";
import { around, type Chooser, firstFeatureStream, occurs, RandomChooser, Stream } from "./choose.ts";
import type { Op, OpKind, Reply } from "./clients.ts";
import type { FeatureRun, Planner } from "./feature.ts";
import { features } from "./features/index.ts";
import { Heap, type Timed } from "./heap.ts";
import type { Instance, Member } from "./member.ts";
import type { Happening } from "./script.ts";
import { drawSettings, type Settings } from "./settings.ts";
import { Violation, violate } from "./violation.ts";
import type { Parcel } from "./wire.ts";
import { type Call, type Timing, World } from "./world.ts";

type Coming =
  | { readonly kind: "boot"; readonly member: Member }
  | { readonly kind: "tick"; readonly instance: Instance }
  | { readonly kind: "request"; readonly call: Call; readonly isCopy: boolean }
  | {
      readonly kind: "answer";
      readonly call: Call;
      readonly by: Instance;
      readonly parcel: Parcel;
      readonly isHeld: boolean;
    }
  | { readonly kind: "failure"; readonly call: Call }
  | { readonly kind: "confirm"; readonly member: Member; readonly upTo: number }
  | { readonly kind: "pump"; readonly instance: Instance; readonly peer: ServerId }
  | { readonly kind: "checkpoint"; readonly member: Member }
  | { readonly kind: "awake"; readonly member: Member }
  | { readonly kind: "endZombie"; readonly instance: Instance }
  | { readonly kind: "crash"; readonly member: Member; readonly loses: boolean }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "heal"; readonly cut: readonly number[]; readonly deaf: readonly number[] }
  | { readonly kind: "think"; readonly client: number }
  | { readonly kind: "ask"; readonly op: Op; readonly isOld: boolean }
  | { readonly kind: "reply"; readonly op: Op; readonly reply: Reply | "nothing" | "lost" }
  | { readonly kind: "giveUp"; readonly op: Op }
  | { readonly kind: "due"; readonly run: FeatureRun; readonly planner: Planner; readonly event: number };

type Fault = "crash" | "everybody" | "replace" | "apart" | "partition" | "stall";

type Entry = Timed & { readonly what: Coming };

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly events: number;
  readonly hash: number;
  readonly nowMs: number;
  readonly commits: number;
  readonly opsDone: number;
  readonly opsUnknown: number;
  readonly histories: number;
  readonly undecided: number;
  /** Ticks the calm took until everybody had caught up; 0 when there was none. */
  readonly calmTicks: number;
  /** Epochs the calm used. */
  readonly calmEpochs: number;
  readonly counts: ReadonlyMap<string, number>;
}

export interface RunOptions {
  readonly toleratesHalts?: boolean | undefined;
  readonly log?: ((line: string) => void) | undefined;
  readonly settings?: ((drawn: Settings) => Settings) | undefined;
  readonly record?: ((happening: Happening) => void) | undefined;
}

/** Runs one seed to its end, or to the first broken promise. */
export function simulate(seed: number, options: RunOptions = {}): Outcome {
  const chooser = new RandomChooser(seed);
  const drawn = drawSettings(chooser);
  const sim = new Sim(chooser, options.settings?.(drawn) ?? drawn, options.toleratesHalts ?? false);
  sim.world.log = options.log;
  sim.world.record = options.record;
  let violation: Violation | undefined;
  try {
    sim.run();
  } catch (error) {
    if (error instanceof Violation) violation = error;
    else if (error instanceof Error) {
      violation = new Violation(error.name === "AssertionFailure" ? "assertion" : "exception", error.message);
      violation.stack = error.stack ?? "";
    } else throw error;
  }
  const { world } = sim;
  return {
    seed,
    violation,
    steps: world.steps,
    events: sim.events,
    hash: world.hash,
    nowMs: sim.now,
    commits: world.checks.committed.length,
    opsDone: world.clients.done,
    opsUnknown: world.clients.unknown,
    histories: sim.histories,
    undecided: sim.undecided,
    calmTicks: sim.calmTicks,
    calmEpochs: sim.calmEpochs,
    counts: world.counts,
  };
}

/** Runs a seed and writes down what happens, for {@link play}. */
export function recordRun(
  seed: number,
  options: RunOptions,
): { readonly violation: Violation | undefined; readonly script: readonly Happening[] } {
  const script: Happening[] = [];
  const outcome = simulate(seed, { ...options, record: (happening) => script.push(happening) });
  return { violation: outcome.violation, script };
}

/** The storm's intensity in its quiet phases. */
const quietPhaseMs = 4_000;

export class Sim implements Timing {
  readonly world: World;
  readonly settings: Settings;
  readonly #chooser: Chooser;
  readonly #heap = new Heap<Entry>();
  now = 0;
  events = 0;
  histories = 0;
  undecided = 0;
  calmTicks = 0;
  calmEpochs = 0;
  #order = 0;
  #isCalm = false;
  /** Members that are not healed yet when the calm begins. */
  readonly #outside = new Set<ServerId>();
  /** While one voter is badly connected, it may stay behind. */
  #isBridged = false;
  /** What waits for a stalled member. */
  readonly #parked = new Map<Member, Entry[]>();
  readonly #tickEveryMs = new Map<Member, number>();
  readonly #scheduledFlush = new Map<Member, number>();
  #slow: Member | undefined;
  readonly #aims: { mark: string; left: number; action: string }[];
  #aimed: { readonly action: string; readonly member: Member } | undefined;
  readonly #planners: { readonly run: FeatureRun; readonly planner: Planner }[] = [];

  constructor(chooser: Chooser, settings: Settings, toleratesHalts: boolean) {
    this.#chooser = chooser;
    this.settings = settings;
    this.world = new World(settings, this, toleratesHalts);
    this.#aims = settings.aims.map(({ mark, count, action }) => ({ mark, left: count, action }));
    const { members } = this.world;
    if (settings.slowness > 1) this.#slow = members[this.#choose(members.length, Stream.Setup)];
    for (const member of members) {
      const percent = this.#choose(2 * settings.drift + 1, Stream.Clock) - settings.drift;
      this.#tickEveryMs.set(member, Math.round((settings.tickMs * (100 + percent)) / 100));
      this.#after(this.#choose(300, Stream.Life), { kind: "boot", member });
      this.#later("checkpoint", settings.checkpointMs, Stream.Storage, { kind: "checkpoint", member });
    }
    for (const { id } of this.world.clients.clients.slice(0, settings.clients))
      this.#after(this.#around(400, Stream.Work), { kind: "think", client: id });
    this.#scheduleFaults();
    for (const [at, { name }] of features.entries()) {
      const run = this.world.features.get(name);
      if (run === undefined) continue;
      const planner = this.#plannerFor(name, firstFeatureStream + at, run);
      this.#planners.push({ run, planner });
      run.begin?.(planner);
    }
  }

  run(): void {
    const { settings } = this;
    while (this.events < settings.events) this.#next();
    this.#calm();
    for (const { run } of this.#planners) run.ended?.();
    const { histories, undecided } = this.world.clients.checkLinearizable();
    this.histories = histories;
    this.undecided = undecided;
  }

  // What the world tells.

  requestLeft(call: Call): void {
    const { settings } = this;
    const delayMs = this.#delayMs;
    // A zombie is far away from where it lived, so its leader has always something new for it.
    const far = call.from.isLive ? 0 : this.#choose(2 * settings.tickMs, Stream.Net);
    const slow = this.#slowness(call.from.member) * this.#slowness(this.world.member(call.to));
    const delay = this.#around(delayMs, Stream.Net) * slow + far;
    this.#after(delay, { kind: "request", call, isCopy: false });
    this.#after(settings.callTimeoutMs, { kind: "failure", call });
    if (this.#strikes(settings.duplicate, Stream.Net)) {
      this.world.count("fault duplicate");
      this.#after(delay + this.#around(10 * delayMs, Stream.Net), {
        kind: "request",
        call,
        isCopy: true,
      });
    }
    if (this.#strikes(settings.late, Stream.Net)) {
      this.world.count("fault late");
      this.#after(delay + this.#choose(10_000, Stream.Net), { kind: "request", call, isCopy: true });
      this.#after(this.#around(delayMs, Stream.Net), { kind: "failure", call });
    }
  }

  answerLeft(call: Call, by: Instance, parcel: Parcel): void {
    const delay = this.#around(this.#delayMs, Stream.Net) * this.#slowness(by.member);
    const isHeld = this.#strikes(this.settings.hold, Stream.Net);
    if (isHeld) this.world.count("fault answer held");
    const held = isHeld ? this.#choose(2 * this.settings.holdMs, Stream.Net) : 0;
    this.#after(delay + held, { kind: "answer", call, by, parcel, isHeld });
  }

  unitWritten(member: Member): void {
    const { settings } = this;
    const already = this.#scheduledFlush.get(member) ?? 0;
    const { written } = member.disk;
    if (already >= written) return;
    this.#scheduledFlush.set(member, written);
    let delay = this.#around(settings.flushMs, Stream.Storage) * this.#slowness(member);
    if (this.#strikes(settings.hang, Stream.Storage)) {
      this.world.count("fault hang");
      delay += this.#choose(20_000, Stream.Storage);
    }
    this.#after(delay, { kind: "confirm", member, upTo: written });
  }

  cooling(instance: Instance, peer: ServerId): void {
    this.#after(this.#around(this.settings.tickMs, Stream.Net), { kind: "pump", instance, peer });
  }

  died(member: Member): void {
    if (!this.#isCalm)
      this.#after(1 + this.#around(this.settings.restartMs, Stream.Life), { kind: "boot", member });
  }

  booted(instance: Instance): void {
    this.#after(this.#choose(this.settings.tickMs, Stream.Clock), { kind: "tick", instance });
    if (this.#strikes(this.settings.secondCrash, Stream.Life)) {
      this.world.count("fault second crash");
      this.#after(this.#around(100, Stream.Life), { kind: "crash", member: instance.member, loses: true });
    }
  }

  replyLeft(op: Op, reply: Reply | "nothing" | "lost"): void {
    if (this.#strikes(this.settings.answerLoss, Stream.Net)) return;
    this.#after(this.#around(this.#delayMs, Stream.Net), { kind: "reply", op, reply });
  }

  reached(mark: string, member: Member): void {
    if (this.#aims.length === 0 || this.#isCalm) return;
    for (const aim of this.#aims) {
      if (aim.mark !== mark || aim.left === 0) continue;
      aim.left--;
      if (aim.left === 0) this.#aimed = { action: aim.action, member };
    }
  }

  // The queue.

  #choose(n: number, stream: Stream): number {
    return this.#chooser.choose(n, stream);
  }

  #around(mean: number, stream: Stream): number {
    return around(this.#chooser, mean, stream);
  }

  /** Whether a fault strikes now: never in the calm, rarely in quiet phases. */
  #strikes(perMillion: number, stream: Stream): boolean {
    if (perMillion === 0 || this.#isCalm) return false;
    if (this.settings.phases && (this.now & 0x3fff) < quietPhaseMs) return false;
    return occurs(this.#chooser, perMillion, stream);
  }

  #after(delayMs: number, what: Coming): void {
    const order = this.#order++;
    const tie = this.settings.drawTies ? this.#choose(1024, Stream.Sched) : 0;
    this.#heap.push({ at: this.now + delayMs, tie, order, what });
  }

  #later(_name: string, meanMs: number, stream: Stream, what: Coming): void {
    if (meanMs > 0) this.#after(1 + this.#around(meanMs, stream), what);
  }

  /** In the calm no path is slow: the limits configured are meant to be above the delays. */
  get #delayMs(): number {
    return this.#isCalm ? Math.min(this.settings.delayMs, this.settings.tickMs / 20) : this.settings.delayMs;
  }

  #slowness(member: Member): number {
    return member === this.#slow && !this.#isCalm ? this.settings.slowness : 1;
  }

  #next(): void {
    const entry = this.#heap.pop();
    if (entry === undefined) violate("LV1", "nothing left to happen");
    this.now = Math.max(this.now, entry.at);
    const member = memberOf(entry.what, this.world);
    const parked = member === undefined ? undefined : this.#parked.get(member);
    if (parked !== undefined) {
      parked.push(entry);
      return;
    }
    this.events++;
    this.#happen(entry.what);
    if (this.#aimed !== undefined) this.#aim();
  }

  #happen(what: Coming): void {
    const { world } = this;
    switch (what.kind) {
      case "boot":
        if (!this.#outside.has(what.member.id)) world.boot(what.member);
        return;
      case "tick":
        return this.#tick(what.instance);
      case "request":
        return this.#request(what.call, what.isCopy);
      case "answer":
        return this.#answer(what.call, what.by, what.parcel, what.isHeld);
      case "failure":
        return world.failed(what.call);
      case "confirm": {
        const { disk } = what.member;
        const units = Math.min(what.upTo - disk.settled, disk.pending);
        if (units > 0) world.confirm(what.member, units);
        return;
      }
      case "pump":
        return world.pump(what.instance, what.peer);
      case "checkpoint":
        return this.#checkpoint(what.member);
      case "awake":
        return this.#awake(what.member);
      case "endZombie":
        return world.endZombie(what.instance);
      case "crash":
        return this.#crash(what.member, what.loses);
      case "fault":
        return this.#fault(what.fault);
      case "heal":
        if (this.#isCalm) return;
        for (const path of what.cut) world.cut[path] = Math.max(0, (world.cut[path] ?? 0) - 1);
        for (const path of what.deaf) world.deaf[path] = Math.max(0, (world.deaf[path] ?? 0) - 1);
        return;
      case "think":
        return this.#think(what.client);
      case "ask":
        return this.#ask(what.op, what.isOld);
      case "reply":
        return world.told(what.op, what.reply);
      case "giveUp":
        return world.gaveUp(what.op);
      case "due":
        return what.run.due?.(what.event, what.planner);
    }
  }

  #tick(instance: Instance): void {
    if (!instance.isAlive) return;
    this.world.tick(instance);
    const every = this.#tickEveryMs.get(instance.member) ?? this.settings.tickMs;
    this.#after(every - 5 + this.#choose(11, Stream.Clock), { kind: "tick", instance });
  }

  // The network.

  #request(call: Call, isCopy: boolean): void {
    const { world, settings } = this;
    const path = call.from.member.id * 16 + call.to;
    // A zombie runs somewhere else than what replaced it; partitions are about the live one.
    if (call.from.isLive && (world.cut[path] !== 0 || world.deaf[path] !== 0)) {
      if (settings.cutFails) this.#after(this.#around(this.#delayMs, Stream.Net), { kind: "failure", call });
      return;
    }
    if (!isCopy && this.#strikes(settings.loss, Stream.Net)) {
      world.count("fault request lost");
      return;
    }
    if (this.#strikes(settings.refusal, Stream.Net)) {
      world.count("fault refused");
      return this.#after(this.#around(this.#delayMs, Stream.Net), { kind: "failure", call });
    }
    if (!world.deliver(call)) this.#after(this.#around(this.#delayMs, Stream.Net), { kind: "failure", call });
  }

  #answer(call: Call, by: Instance, parcel: Parcel, isHeld: boolean): void {
    const { world } = this;
    const isCut = world.cut[by.member.id * 16 + call.from.member.id] !== 0;
    if (isCut && !isHeld && call.from.isLive) return;
    if (this.#strikes(this.settings.answerLoss, Stream.Net)) {
      world.count("fault answer lost");
      return;
    }
    world.returned(call, by, parcel);
  }

  // Lives.

  #checkpoint(member: Member): void {
    const { settings, world } = this;
    if (member.live !== undefined) {
      world.checkpoint(member, settings.keep, this.#strikes(settings.cutLost, Stream.Storage));
    }
    this.#later("checkpoint", settings.checkpointMs, Stream.Storage, { kind: "checkpoint", member });
  }

  #crash(member: Member, loses: boolean): void {
    if (member.live === undefined || this.#isCalm) return;
    const { pending } = member.disk;
    const survive = loses ? 0 : this.#choose(pending + 1, Stream.Life);
    this.world.crash(member, pending - survive, this.#choose(256, Stream.Life));
  }

  #scheduleFaults(): void {
    const { settings } = this;
    this.#later("crash", settings.crashMs, Stream.Life, { kind: "fault", fault: "crash" });
    this.#later("everybody", settings.everybodyMs, Stream.Life, { kind: "fault", fault: "everybody" });
    this.#later("replace", settings.replaceMs, Stream.Life, { kind: "fault", fault: "replace" });
    this.#later("apart", settings.apartMs, Stream.Life, { kind: "fault", fault: "apart" });
    this.#later("partition", settings.partitionMs, Stream.Net, { kind: "fault", fault: "partition" });
    this.#later("stall", settings.stallMs, Stream.Clock, { kind: "fault", fault: "stall" });
  }

  #fault(fault: Fault): void {
    if (this.#isCalm) return;
    const { settings, world } = this;
    const { members } = world;
    const again: Coming = { kind: "fault", fault };
    const isQuiet = settings.phases && (this.now & 0x3fff) < quietPhaseMs;
    const member = this.#victim();
    switch (fault) {
      case "crash":
        this.#later("", settings.crashMs, Stream.Life, again);
        if (!isQuiet) this.#crash(member, this.#choose(2, Stream.Life) === 1);
        return;
      case "everybody":
        this.#later("", settings.everybodyMs, Stream.Life, again);
        if (isQuiet) return;
        world.count("fault everybody");
        for (const each of members)
          this.#after(this.#around(30, Stream.Life), { kind: "crash", member: each, loses: false });
        return;
      case "replace":
        this.#later("", settings.replaceMs, Stream.Life, again);
        if (!isQuiet) this.#replace(member);
        return;
      case "apart":
        this.#later("", this.#replaceApart() ? settings.apartMs : retryMs, Stream.Life, again);
        return;
      case "partition":
        this.#later("", settings.partitionMs, Stream.Net, again);
        if (!isQuiet) this.#partition(member);
        return;
      case "stall":
        this.#later("", settings.stallMs, Stream.Clock, again);
        if (!isQuiet) this.#stall(member);
    }
  }

  /** Somebody: the leader about half of the time. */
  #victim(): Member {
    const { members } = this.world;
    const leader = this.#leader();
    const drawn = members[this.#choose(members.length, Stream.Life)];
    if (leader !== undefined && this.#choose(2, Stream.Life) === 1) return leader.member;
    return drawn ?? violate("simulator", "no members");
  }

  #leader(): Instance | undefined {
    let best: Instance | undefined;
    for (const { live } of this.world.members) {
      if (live?.serving.kind !== "leading") continue;
      if (best === undefined || live.status.epoch > best.status.epoch) best = live;
    }
    return best;
  }

  #replace(member: Member): void {
    const old = member.live;
    if (old === undefined) return;
    this.world.replace(member);
    this.#after(this.#around(this.settings.zombieMs, Stream.Life), { kind: "endZombie", instance: old });
  }

  /** Waits for a learner that is calling its leader; the zombie's calls go on, the new instance hears others. */
  #replaceApart(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const isCalling = ({ live }: Member): boolean => live?.links.get(leader.member.id)?.call !== undefined;
    const learner = this.world.members.find((member) => member !== leader.member && isCalling(member));
    if (learner === undefined) return false;
    this.world.count("fault replaced apart");
    this.#replace(learner);
    this.#isolate(leader.member, 3);
    return true;
  }

  #stall(member: Member): void {
    this.world.count("fault stall");
    if (!this.#parked.has(member)) this.#parked.set(member, []);
    this.#after(1 + this.#choose(2 * this.settings.stallLifeMs, Stream.Clock), { kind: "awake", member });
  }

  /** All that waited happens now, in its old order or in a drawn one. */
  #awake(member: Member): void {
    const parked = this.#parked.get(member) ?? [];
    this.#parked.delete(member);
    for (const { what } of parked) this.#after(0, what);
  }

  #aim(): void {
    const aimed = this.#aimed;
    this.#aimed = undefined;
    if (aimed === undefined) return;
    this.world.count(`aimed ${aimed.action}`);
    if (aimed.action === "crash") this.#crash(aimed.member, false);
    else if (aimed.action === "crashLosing") this.#crash(aimed.member, true);
    else if (aimed.action === "stall") this.#stall(aimed.member);
    else this.#isolate(aimed.member, 3);
  }

  /** Cuts paths into a member (bit 1), out of it (bit 2). */
  #isolate(member: Member, directions: number): void {
    const paths: number[] = [];
    for (const { id } of this.world.members) {
      if (id === member.id) continue;
      if ((directions & 1) !== 0) paths.push(id * 16 + member.id);
      if ((directions & 2) !== 0) paths.push(member.id * 16 + id);
    }
    this.#cutPaths(paths, []);
  }

  #cutPaths(cut: readonly number[], deaf: readonly number[]): void {
    const { world, settings } = this;
    world.count("fault partition");
    for (const path of cut) world.cut[path] = (world.cut[path] ?? 0) + 1;
    for (const path of deaf) world.deaf[path] = (world.deaf[path] ?? 0) + 1;
    this.#after(1 + this.#around(settings.partitionLifeMs, Stream.Net), { kind: "heal", cut, deaf });
  }

  /** Isolates one, splits in two, star, ring, bridge, one path; path-level or call-level, one way or both. */
  #partition(member: Member): void {
    const { members } = this.world;
    const count = members.length;
    const shape = this.#choose(8, Stream.Net);
    if (shape === 0 || shape > 5) return this.#isolate(member, 1 + this.#choose(3, Stream.Net));
    const sides = this.#choose(2 ** count, Stream.Net);
    const paths: number[] = [];
    for (const { id: a } of members) {
      for (const { id: b } of members) {
        if (a === b) continue;
        const differ = ((sides >>> a) & 1) !== ((sides >>> b) & 1);
        const isCut =
          (shape === 1 && differ) ||
          (shape === 2 && differ && ((sides >>> a) & 1) === 1) ||
          (shape === 3 && a !== member.id && b !== member.id) ||
          (shape === 4 && Math.abs(a - b) !== 1 && Math.abs(a - b) !== count - 1) ||
          (shape === 5 && differ && a !== member.id && b !== member.id);
        if (isCut) paths.push(a * 16 + b);
      }
    }
    if (this.#choose(3, Stream.Net) === 2) this.#cutPaths([], paths);
    else this.#cutPaths(paths, []);
  }

  #plannerFor(name: string, stream: number, run: FeatureRun): Planner {
    const sim = this;
    const planner: Planner = {
      get now() {
        return sim.now;
      },
      get isCalm() {
        return sim.#isCalm;
      },
      choose: (n) => sim.#chooser.choose(n, stream),
      around: (meanMs) => around(sim.#chooser, meanMs, stream),
      after: (delayMs, event) => sim.#after(delayMs, { kind: "due", run, planner, event }),
      act: (...args) => void sim.world.act(name, args),
      victim: () => {
        const { members } = sim.world;
        const drawn =
          members[sim.#chooser.choose(members.length, stream)] ?? violate("simulator", "no members");
        const leader = sim.#leader();
        return leader !== undefined && sim.#chooser.choose(2, stream) === 1 ? leader.member.id : drawn.id;
      },
    };
    return planner;
  }

  // Clients.

  #think(id: number): void {
    if (this.#isCalm) return;
    const { world, settings } = this;
    const client = world.clients.get(id);
    this.#after(1 + this.#around(settings.thinkMs, Stream.Work), { kind: "think", client: id });
    if (client.op !== undefined) return;
    const kind = this.#drawKind();
    const wish = {
      kind,
      path: this.#choose(settings.paths, Stream.Work),
      compares: this.#choose(3, Stream.Work) === 2,
      victim: kind === "close" && this.#choose(3, Stream.Work) === 2 ? this.#choose(8, Stream.Work) : id,
    };
    const op = world.invoke(id, wish, this.#door(kind));
    const isOld = kind === "read" && this.#choose(4, Stream.Work) === 3;
    this.#after(this.#around(this.#delayMs, Stream.Net), { kind: "ask", op, isOld });
    this.#after(settings.clientTimeoutMs, { kind: "giveUp", op });
  }

  #drawKind(): OpKind {
    if (occurs(this.#chooser, this.settings.reads, Stream.Work)) {
      return this.#choose(3, Stream.Work) === 2 ? "look" : "read";
    }
    const draw = this.#choose(32, Stream.Work);
    if (this.settings.favoursSessions) {
      if (draw < 10) return "ephemeral";
      if (draw < 16) return "open";
      if (draw < 21) return "close";
      if (draw < 24) return "touch";
      if (draw < 27) return "drop";
      return draw < 29 ? "set" : "multi";
    }
    if (draw < 16) return "set";
    if (draw < 23) return "create";
    if (draw < 25) return "remove";
    if (draw < 27) return "ephemeral";
    if (draw < 28) return "sequential";
    if (draw < 29) return "multi";
    return draw < 31 ? "open" : "close";
  }

  /** Mostly the leader, or whoever believes to be one: deposed leaders are the interesting ones. */
  #door(kind: OpKind): ServerId {
    const { members } = this.world;
    const drawn = members[this.#choose(members.length, Stream.Work)] ?? violate("simulator", "no members");
    if (kind === "look" || this.#choose(8, Stream.Work) === 7) return drawn.id;
    const leaders = members.filter(({ live }) => live?.serving.kind === "leading");
    return (leaders[this.#choose(Math.max(1, leaders.length), Stream.Work)] ?? drawn).id;
  }

  #ask(op: Op, isOld: boolean): void {
    if (this.#strikes(this.settings.loss, Stream.Net)) return;
    const member = this.world.member(op.member);
    const zombie = isOld ? member.zombie : undefined;
    this.world.arrive(op, zombie ?? member.live);
  }

  // The calm.

  #calm(): void {
    const { world, settings } = this;
    this.#isCalm = true;
    for (const member of [...this.#parked.keys()]) this.#awake(member);
    world.cut.fill(0);
    world.deaf.fill(0);
    for (const op of world.clients.ops) world.gaveUp(op);
    for (const { zombie } of world.members) zombie?.end();
    for (const { run, planner } of this.#planners) run.calm?.(planner);
    if (settings.ending === "quorum") this.#leaveMinorityOut();
    if (settings.ending === "bridge") this.#cutBadly();
    if (settings.ending === "restart") {
      for (const member of world.members) {
        if (member.live !== undefined)
          world.crash(member, this.#choose(member.disk.pending + 1, Stream.Life), 255);
      }
    }
    for (const member of world.members) {
      this.#after(0, { kind: "confirm", member, upTo: member.disk.written });
      // Calls that were lost need not be waited for any longer.
      for (const { call } of member.live?.links.values() ?? []) {
        if (call !== undefined)
          this.#after(this.#choose(settings.tickMs, Stream.Net), { kind: "failure", call });
      }
    }
    this.#bootAll();
    const startedAt = this.now;
    const epochBefore = this.#highestEpoch();
    if (this.#isBridged) {
      this.#untilAgreed("LV6");
      this.#isBridged = false;
      world.cut.fill(0);
    }
    this.#untilAgreed(settings.ending === "restart" ? "LV8" : "LV1");
    if (this.#outside.size > 0) {
      this.#outside.clear();
      world.cut.fill(0);
      this.#bootAll();
      // Somebody who was out of reach and was made a member is told of it by a leader that is awake.
      if (world.checks.memberships.changes > 0)
        for (const { run, planner } of this.#planners) run.calm?.(planner);
      this.#untilAgreed("LV5");
    }
    this.calmTicks = Math.ceil((this.now - startedAt) / settings.tickMs);
    this.#probe();
    this.calmEpochs = this.#highestEpoch() - epochBefore;
    const epochsMax = settings.ending === "bridge" ? epochsMaxApart : epochsMaxCalm;
    if (settings.peer.counterMax > 100 && this.calmEpochs > epochsMax) {
      violate("LV4", `${this.calmEpochs} epochs were used in the calm`);
    }
  }

  #bootAll(): void {
    for (const member of this.world.members) {
      if (!this.#outside.has(member.id) && member.live === undefined) this.world.boot(member);
    }
  }

  /** A minority stays as it is: dead, or alive and cut off. */
  #leaveMinorityOut(): void {
    const { world } = this;
    for (const { id } of world.members) {
      this.#outside.add(id);
      const mayLeave = world.checks.memberships.canDoWithout(this.#outside);
      if (!mayLeave || this.#choose(2, Stream.Life) === 0) this.#outside.delete(id);
    }
    for (const id of this.#outside) {
      for (const { id: other } of world.members) {
        world.cut[id * 16 + other] = 1;
        world.cut[other * 16 + id] = 1;
      }
    }
  }

  /**
   * One voter is badly connected, all others well: a pair is cut, or the voter hears nobody and is heard, or
   * reaches only one other. Votes travel by gossip all the same. Not while members count differently: the one
   * might be needed.
   */
  #cutBadly(): void {
    const { memberships } = this.world.checks;
    const voters = [...memberships.governing.voters.keys()];
    if (voters.length < 3) return;
    const first = this.#choose(voters.length, Stream.Life);
    const bad = voters[first];
    const place = first + 1 + this.#choose(voters.length - 1, Stream.Life);
    const friend = voters[place % voters.length];
    const shape = this.#choose(4, Stream.Life);
    if (bad === undefined || !voters.every((voter) => memberships.canDoWithout(new Set([voter])))) return;
    this.#isBridged = true;
    for (const other of voters) {
      if (other === bad) continue;
      const isApart = shape < 2 ? other === friend : shape === 2 || other !== friend;
      if (!isApart) continue;
      this.world.cut[other * 16 + bad] = 1;
      if (shape === 1 || (shape === 3 && voters.length > 3)) this.world.cut[bad * 16 + other] = 1;
    }
  }

  #untilAgreed(invariant: string): void {
    const { settings } = this;
    const { initLimitTicks, syncLimitTicks, notifyEveryTicksMax } = settings.peer;
    const boundTicks =
      boundFactor * (initLimitTicks + syncLimitTicks + notifyEveryTicksMax) + boundExtraTicks;
    const deadline = this.now + boundTicks * settings.tickMs;
    let reason = "";
    while (this.now < deadline) {
      this.#runFor(settings.tickMs);
      reason = this.#disagreement();
      if (reason !== "") continue;
      const leader = this.#leader();
      this.#runFor(3 * syncLimitTicks * settings.tickMs);
      reason = this.#disagreement();
      if (reason === "" && this.#leader() !== leader) reason = "the leader changed";
      if (reason === "") return;
    }
    violate(invariant, `after ${boundTicks} calm ticks ${reason}`);
  }

  #runFor(ms: number): void {
    const until = this.now + ms;
    while (this.now < until) this.#next();
  }

  /** What still keeps the healed members from being one ensemble; empty when nothing does. */
  #disagreement(): string {
    const { world } = this;
    const leader = this.#leader();
    if (leader === undefined) return "nobody leads";
    const { epoch } = leader.status;
    const { memberships } = world.checks;
    const { governing } = memberships;
    if (this.#isBridged) {
      const serving = world.members.filter(
        ({ id, live }) =>
          memberships.isVoter(governing, id) && live?.serving.kind !== "none" && live?.status.epoch === epoch,
      );
      return serving.length * 2 > governing.voters.size ? "" : "the leader has no quorum that serves";
    }
    for (const member of world.members) {
      if (this.#outside.has(member.id)) continue;
      const { live, id } = member;
      if (live === undefined) return `${id} is not alive`;
      const { serving } = live;
      if (!governing.members.has(id)) {
        if (serving.kind !== "none") return `${id} is no member and serves`;
        if (member.disk.config.members.some((one) => one.id === id))
          return `${id} is no member and knows nothing of it`;
        continue;
      }
      if (serving.kind === "none") return `${id} does not serve`;
      if (live !== leader && serving.kind === "leading") return `${id} leads too`;
      if (memberships.isVoter(governing, id) !== (serving.kind !== "observing"))
        return `${id} is ${serving.kind}, which it should not be`;
      if (serving.epoch !== epoch) return `${id} serves epoch ${serving.epoch}, not ${epoch}`;
      if (!equalZxid(live.tree.applied, leader.tree.applied)) {
        return `${id} stands at ${formatZxid(live.tree.applied)}, the leader at ${formatZxid(leader.tree.applied)}`;
      }
    }
    if (!equalZxid(leader.tree.applied, world.checks.tip)) return "the leader has not delivered everything";
    return "";
  }

  /** One write and one linearizable read by a client of its own, and everybody at the end of it. */
  #probe(): void {
    const { world, settings } = this;
    const client = world.clients.add();
    const bound = 4 * (settings.peer.initLimitTicks + settings.peer.syncLimitTicks) * settings.tickMs;
    for (const kind of ["create", "read"] as const) {
      const deadline = this.now + bound;
      let op: Op | undefined;
      while (op?.state !== "done") {
        if (this.now >= deadline) violate("LV3", `a ${kind} in the calm is not answered`);
        const leader = this.#leader();
        if (op?.state !== "open" && leader !== undefined) {
          op = world.invoke(client.id, { kind, path: 0, compares: false, victim: 0 }, leader.member.id);
          world.arrive(op, leader);
        }
        this.#runFor(Math.ceil(settings.tickMs / 10));
      }
    }
    this.#untilAgreed("LV2");
    this.#compareEnds();
  }

  /** In the end all members have the same tree, compared znode by znode with the reference. */
  #compareEnds(): void {
    const { checks, members } = this.world;
    for (const { id, live } of members) {
      if (live === undefined || !checks.memberships.governing.members.has(id)) continue;
      let znodes = 0;
      for (const path of checks.reference.paths()) {
        znodes++;
        const wanted = checks.reference.get(path);
        const actual = live.tree.get(path);
        if (
          actual === undefined ||
          wanted?.version !== actual.version ||
          wanted.numChildren !== actual.numChildren
        ) {
          violate("I9", `${id} ends with another ${path}`);
        }
      }
      if (znodes !== checks.reference.size) violate("I9", `${id} ends with other znodes`);
      const sessions = [...live.tree.sessions()].length;
      if (sessions !== checks.reference.sessionCount) violate("I9", `${id} ends with ${sessions} sessions`);
    }
  }

  #highestEpoch(): number {
    return Math.max(...this.world.members.map(({ disk }) => disk.promises.acceptedEpoch));
  }
}

/** How long to wait for the next chance of a fault that needs one. */
const retryMs = 10;

/** Bounds of the calm, in units of the longest waits configured; about five times what was observed. */
const boundFactor = 8;
const boundExtraTicks = 100;
/** Epochs the calm may use: one election, one for a member ahead, one spare; and one for each late healing. */
const epochsMaxCalm = 6;
/** With one voter badly connected, attempts at it come first, each later than the one before. */
const epochsMaxApart = 12;

/** Whose stall holds a happening back. */
function memberOf(what: Coming, world: World): Member | undefined {
  switch (what.kind) {
    case "tick":
    case "pump":
      return what.instance.member;
    case "request":
      return world.member(what.call.to);
    case "answer":
    case "failure":
      return what.call.from.member;
    case "ask":
      return world.member(what.op.member);
    case "confirm":
    case "checkpoint":
      return what.member;
    default:
      return undefined;
  }
}
