/**
 * A history as a list of happenings, replayed without time and chance.
 *
 * What a script names and is not there (any more) is skipped, which makes almost every part of a history a
 * history too: that is what shrinking needs. As text, a script is a scenario file: one happening a line.
 *
 * @module
 */

import { makeServerId, type ServerId } from "../../src/base/index.ts";
import type { Op, OpKind, Reply, Wish } from "./clients.ts";
import type { Instance, Member } from "./member.ts";
import type { Settings } from "./settings.ts";
import { Violation } from "./violation.ts";
import type { Parcel } from "./wire.ts";
import { type Call, type Timing, World } from "./world.ts";

interface CallName {
  readonly from: ServerId;
  readonly zombie: boolean;
  readonly to: ServerId;
  readonly number: number;
}

export type Happening =
  | { readonly kind: "boot" | "replace" | "endZombie"; readonly member: ServerId }
  | { readonly kind: "tick"; readonly member: ServerId; readonly zombie: boolean }
  | ({ readonly kind: "request" | "answer" | "failure" } & CallName)
  | { readonly kind: "confirm"; readonly member: ServerId; readonly units: number }
  | { readonly kind: "pump"; readonly member: ServerId; readonly zombie: boolean; readonly peer: ServerId }
  | { readonly kind: "crash"; readonly member: ServerId; readonly survive: number; readonly mask: number }
  | {
      readonly kind: "checkpoint";
      readonly member: ServerId;
      readonly keep: number;
      readonly endsCut: boolean;
    }
  | { readonly kind: "invoke"; readonly client: number; readonly wish: Wish; readonly member: ServerId }
  | { readonly kind: "ask"; readonly client: number; readonly zombie: boolean }
  | { readonly kind: "reply" | "giveUp"; readonly client: number }
  /** What a feature does. */
  | { readonly kind: "act"; readonly feature: string; readonly args: readonly number[] };

interface Answer {
  readonly call: Call;
  readonly by: Instance;
  readonly parcel: Parcel;
}

/** Does what a script says, at once and in that order. */
class Player implements Timing {
  readonly world: World;
  now = 0;
  readonly #requests: Call[] = [];
  readonly #delivered: Call[] = [];
  readonly #answers: Answer[] = [];
  readonly #asked = new Set<Op>();
  readonly #replies = new Map<Op, Reply | "nothing" | "lost">();

  constructor(settings: Settings, toleratesHalts: boolean) {
    this.world = new World(settings, this, toleratesHalts);
  }

  /** False when there was nothing of that name. */
  play(happening: Happening): boolean {
    const { world } = this;
    this.now++;
    switch (happening.kind) {
      case "boot": {
        const member = world.member(happening.member);
        if (member.live !== undefined) return false;
        world.boot(member);
        return true;
      }
      case "replace": {
        const member = world.member(happening.member);
        if (member.live === undefined) return false;
        world.replace(member);
        return true;
      }
      case "endZombie": {
        const { zombie } = world.member(happening.member);
        if (zombie === undefined) return false;
        world.endZombie(zombie);
        return true;
      }
      case "tick": {
        const instance = this.#instance(happening);
        if (instance === undefined) return false;
        world.tick(instance);
        return true;
      }
      case "request":
        return this.#request(happening);
      case "answer": {
        const place = find(this.#answers, ({ call }) => call, happening);
        const [answer] = place < 0 ? [] : this.#answers.splice(place, 1);
        if (answer === undefined) return false;
        world.returned(answer.call, answer.by, answer.parcel);
        return true;
      }
      case "failure": {
        const caller = this.#instance({ member: happening.from, zombie: happening.zombie });
        const call = caller?.links.get(happening.to)?.call;
        if (call === undefined) return false;
        world.failed(call);
        return true;
      }
      case "confirm": {
        const member = world.member(happening.member);
        const units = Math.min(happening.units, member.disk.pending);
        if (units === 0) return false;
        world.confirm(member, units);
        return true;
      }
      case "pump": {
        const instance = this.#instance(happening);
        if (instance === undefined) return false;
        world.pump(instance, happening.peer);
        return true;
      }
      case "crash": {
        const member = world.member(happening.member);
        if (member.live === undefined) return false;
        world.crash(member, Math.min(happening.survive, member.disk.pending), happening.mask);
        return true;
      }
      case "checkpoint":
        world.checkpoint(world.member(happening.member), happening.keep, happening.endsCut);
        return true;
      case "invoke": {
        if (world.clients.get(happening.client).op !== undefined) return false;
        world.invoke(happening.client, happening.wish, happening.member);
        return true;
      }
      case "ask": {
        const { op } = world.clients.get(happening.client);
        if (op === undefined || this.#asked.has(op)) return false;
        this.#asked.add(op);
        const member = world.member(op.member);
        world.arrive(op, happening.zombie ? member.zombie : member.live);
        return true;
      }
      case "reply": {
        const { op } = world.clients.get(happening.client);
        const reply = op === undefined ? undefined : this.#replies.get(op);
        if (op === undefined || reply === undefined) return false;
        world.told(op, reply);
        return true;
      }
      case "giveUp": {
        const { op } = world.clients.get(happening.client);
        if (op === undefined) return false;
        world.gaveUp(op);
        return true;
      }
      case "act":
        return world.act(happening.feature, happening.args);
    }
  }

  requestLeft(call: Call): void {
    this.#requests.push(call);
  }

  answerLeft(call: Call, by: Instance, parcel: Parcel): void {
    this.#answers.push({ call, by, parcel });
  }

  replyLeft(op: Op, reply: Reply | "nothing" | "lost"): void {
    this.#replies.set(op, reply);
  }

  unitWritten(): void {}
  cooling(): void {}
  booted(): void {}
  died(): void {}
  reached(): void {}

  /** The call of that number, or the oldest between the two; one that was delivered already comes again. */
  #request(name: CallName): boolean {
    const place = find(this.#requests, (call) => call, name);
    const [call] = place < 0 ? [] : this.#requests.splice(place, 1);
    if (call !== undefined) this.#delivered.push(call);
    const again = call ?? this.#delivered.find((old) => isNamed(old, name) && old.number === name.number);
    return again !== undefined && this.world.deliver(again);
  }

  #instance({ member, zombie }: { member: ServerId; zombie: boolean }): Instance | undefined {
    const there: Member = this.world.member(member);
    return zombie ? there.zombie : there.live;
  }
}

function isNamed(call: Call, { from, zombie, to }: CallName): boolean {
  return call.from.member.id === from && call.to === to && call.from.isLive === !zombie;
}

/** Place of the fitting item of that number, or of the oldest fitting one. */
function find<Item>(items: readonly Item[], callOf: (item: Item) => Call, name: CallName): number {
  const exact = items.findIndex((item) => isNamed(callOf(item), name) && callOf(item).number === name.number);
  return exact >= 0 ? exact : items.findIndex((item) => isNamed(callOf(item), name));
}

export interface Played {
  readonly violation: Violation | undefined;
  /** Happenings that were there to happen, up to the violation. */
  readonly script: readonly Happening[];
}

/** Plays a script against the real code, and checks everything on the way. */
export function play(
  settings: Settings,
  script: readonly Happening[],
  options: {
    readonly toleratesHalts?: boolean | undefined;
    readonly log?: ((line: string) => void) | undefined;
  } = {},
): Played {
  const player = new Player(settings, options.toleratesHalts ?? false);
  player.world.log = options.log;
  const done: Happening[] = [];
  try {
    for (const happening of script) {
      done.push(happening);
      if (!player.play(happening)) done.pop();
    }
    player.world.clients.checkLinearizable();
  } catch (error) {
    if (error instanceof Violation) return { violation: error, script: done };
    if (!(error instanceof Error)) throw error;
    const kind = error.name === "AssertionFailure" ? "assertion" : "exception";
    return { violation: new Violation(kind, error.message), script: done };
  }
  return { violation: undefined, script: done };
}

/** A happening in one line of a scenario file. */
export function formatHappening(happening: Happening): string {
  const z = "zombie" in happening && happening.zombie ? "z" : "";
  switch (happening.kind) {
    case "boot":
    case "replace":
    case "endZombie":
      return `${happening.kind} ${happening.member}`;
    case "tick":
      return `tick ${happening.member}${z}`;
    case "request":
    case "answer":
    case "failure":
      return `${happening.kind} ${happening.from}${z}->${happening.to} ${happening.number}`;
    case "confirm":
      return `confirm ${happening.member} ${happening.units}`;
    case "pump":
      return `pump ${happening.member}${z}->${happening.peer}`;
    case "crash":
      return `crash ${happening.member} ${happening.survive} ${happening.mask}`;
    case "checkpoint":
      return `checkpoint ${happening.member} ${happening.keep} ${happening.endsCut}`;
    case "invoke": {
      const { kind, path, compares, victim } = happening.wish;
      return `invoke ${happening.client} ${happening.member} ${kind} ${path} ${compares} ${victim}`;
    }
    case "ask":
      return `ask ${happening.client}${z}`;
    case "reply":
    case "giveUp":
      return `${happening.kind} ${happening.client}`;
    case "act":
      return `act ${happening.feature} ${happening.args.join(" ")}`;
  }
}

/** The inverse of {@link formatHappening}; `undefined` for anything else. */
export function parseHappening(line: string): Happening | undefined {
  const [kind = "", first = "", ...rest] = line.trim().split(/ +/);
  const zombie = /^\d+z/.test(first);
  const [left = 0, right = 0] = first.replace("z", "").split("->").map(Number);
  const number = (place: number): number => Number(rest[place] ?? 0);
  switch (kind) {
    case "boot":
    case "replace":
    case "endZombie":
      return { kind, member: makeServerId(left) };
    case "tick":
      return { kind, member: makeServerId(left), zombie };
    case "request":
    case "answer":
    case "failure":
      return { kind, from: makeServerId(left), zombie, to: makeServerId(right), number: number(0) };
    case "confirm":
      return { kind, member: makeServerId(left), units: number(0) };
    case "pump":
      return { kind, member: makeServerId(left), zombie, peer: makeServerId(right) };
    case "crash":
      return { kind, member: makeServerId(left), survive: number(0), mask: number(1) };
    case "checkpoint":
      return { kind, member: makeServerId(left), keep: number(0), endsCut: rest[1] === "true" };
    case "invoke": {
      const wish = {
        kind: (rest[1] ?? "") as OpKind,
        path: number(2),
        compares: rest[3] === "true",
        victim: number(4),
      };
      return { kind, client: left, member: makeServerId(number(0)), wish };
    }
    case "ask":
      return { kind, client: left, zombie };
    case "reply":
    case "giveUp":
      return { kind, client: left };
    case "act":
      return { kind, feature: first, args: rest.map(Number) };
    default:
      return undefined;
  }
}
