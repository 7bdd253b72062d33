/**
 * Everything that may happen in a state, within the bounds.
 *
 * @module
 */

import { compareZxid, type Zxid } from "../../src/base/index.ts";
import { type Bound, boundNames } from "./bounds.ts";
import { type Channels, EMPTY_LIST, LOST } from "./channels.ts";
import type { Facts } from "./member.ts";

/** Something that may happen in the world. Numbers below are indices of members. */
export type Action =
  /** The first thing in the channel. */
  | { readonly kind: "deliver"; readonly from: number; readonly to: number }
  /** The end of the association, before what was under way. */
  | { readonly kind: "lose"; readonly from: number; readonly to: number }
  | { readonly kind: "linkdown"; readonly at: number; readonly peer: number }
  | { readonly kind: "crash"; readonly at: number; readonly checkpointed: boolean }
  | { readonly kind: "lead"; readonly at: number }
  | { readonly kind: "follow"; readonly at: number; readonly leader: number }
  | { readonly kind: "giveUp"; readonly at: number }
  | { readonly kind: "expel"; readonly at: number; readonly learner: number }
  | { readonly kind: "propose"; readonly at: number }
  | { readonly kind: "ping"; readonly at: number }
  | { readonly kind: "read"; readonly at: number }
  | { readonly kind: "compact"; readonly at: number }
  /** To the configuration of this name. */
  | { readonly kind: "change"; readonly at: number; readonly to: string }
  /** Somebody says which configuration is committed: that behind a history, or the latest of which there is word. */
  | { readonly kind: "tell"; readonly at: number; readonly history?: number | undefined };

/** A state, to be read. */
export interface Scene {
  readonly count: number;
  /** Histories behind which stand the configurations that somebody follows, the first one apart. */
  readonly followed: readonly { readonly history: number; readonly version: Zxid }[];
  readonly channels: Channels;
  facts(index: number): Facts;
  channel(from: number, to: number): number;
  /** Whether a bound, by its place among them, lets one more happen. */
  allows(bound: number): boolean;
}

const bounds = Object.fromEntries(boundNames.map((name, place) => [name, place])) as Record<Bound, number>;

export function actionsIn(scene: Scene): Action[] {
  const actions: Action[] = [];
  for (let at = 0; at < scene.count; at++) {
    deliveries(actions, scene, at);
    decisions(actions, scene, at);
    word(actions, scene, at);
    failures(actions, scene, at);
  }
  return actions;
}

function deliveries(actions: Action[], scene: Scene, to: number): void {
  const { channels } = scene;
  for (let from = 0; from < scene.count; from++) {
    if (from === to) continue;
    const list = scene.channel(from, to);
    if (list === EMPTY_LIST) continue;
    actions.push({ kind: "deliver", from, to });
    if (channels.fromMark(list) !== list && channels.mark(list) >= 0)
      actions.push({ kind: "lose", from, to });
  }
}

function decisions(actions: Action[], scene: Scene, at: number): void {
  const facts = scene.facts(at);
  if (facts.role === "leading") {
    if (facts.isEstablished) offer(actions, scene, "proposals", { kind: "propose", at });
    if (facts.isEstablished) offer(actions, scene, "reads", { kind: "read", at });
    if (facts.isEstablished && scene.count > 1) offer(actions, scene, "pings", { kind: "ping", at });
    for (const to of facts.proposable) offer(actions, scene, "changes", { kind: "change", at, to });
  } else if (facts.role === "looking") {
    // Following one that does not lead yet is following it later: nothing else happens to the follower.
    for (let leader = 0; leader < scene.count && facts.isMember; leader++) {
      if (facts.knows[leader] === true && scene.facts(leader).role === "leading")
        offer(actions, scene, "follows", { kind: "follow", at, leader });
    }
    if (facts.isVoter) offer(actions, scene, "epochs", { kind: "lead", at });
  }
  if (facts.canCompact) offer(actions, scene, "compactions", { kind: "compact", at });
}

/** Word of mouth: any member may say what it follows at any time, and what was said may arrive at any time later. */
function word(actions: Action[], scene: Scene, at: number): void {
  const { config } = scene.facts(at);
  for (const { history, version } of scene.followed)
    if (compareZxid(version, config.version) > 0) actions.push({ kind: "tell", at, history });
}

function failures(actions: Action[], scene: Scene, at: number): void {
  const facts = scene.facts(at);
  const canGiveUp = facts.role === "learning" || (facts.role === "leading" && !facts.isAlone);
  if (canGiveUp) offer(actions, scene, "timeouts", { kind: "giveUp", at });
  for (let peer = 0; peer < scene.count; peer++) {
    if (peer === at) continue;
    if ((facts.slots[peer] ?? 0) > 0) offer(actions, scene, "timeouts", { kind: "expel", at, learner: peer });
    const isIdle = scene.channel(at, peer) === EMPTY_LIST && scene.channel(peer, at) === EMPTY_LIST;
    if (!isIdle || concerns(facts, peer)) offer(actions, scene, "linkdowns", { kind: "linkdown", at, peer });
  }
  offer(actions, scene, "crashes", { kind: "crash", at, checkpointed: false });
  if (facts.canCheckpoint) offer(actions, scene, "crashes", { kind: "crash", at, checkpointed: true });
}

function offer(actions: Action[], scene: Scene, bound: Bound, action: Action): void {
  if (scene.allows(bounds[bound])) actions.push(action);
}

/** Whether the end of the link to `peer` means anything to a member. */
export function concerns(facts: Facts, peer: number): boolean {
  return facts.leader === peer || (facts.slots[peer] ?? 0) > 0;
}

export function describeAction(
  action: Action,
  { channels, channel }: Pick<Scene, "channels" | "channel">,
  name: (index: number) => number,
): string {
  switch (action.kind) {
    case "deliver":
    case "lose": {
      const list = channel(action.from, action.to);
      const from = action.kind === "lose" ? channels.fromMark(list) : list;
      const [packet = LOST] = channels.entries(from);
      const lost = action.kind === "lose" ? " before what was under way" : "";
      return `deliver ${name(action.from)}->${name(action.to)} ${channels.name(packet)}${lost}`;
    }
    case "linkdown":
      return `linkdown ${name(action.at)}: the link to ${name(action.peer)}`;
    case "crash":
      return `crash ${name(action.at)}${action.checkpointed ? " with a checkpoint of what it delivered" : ""}`;
    case "follow":
      return `follow ${name(action.at)}->${name(action.leader)}`;
    case "expel":
      return `expel ${name(action.at)}: learner ${name(action.learner)}`;
    case "change":
      return `change ${name(action.at)} to ${action.to}`;
    default:
      return `${action.kind} ${name(action.at)}`;
  }
}
