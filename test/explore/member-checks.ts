/**
 * What holds of one member after every step, whatever it was told: I1 for its promises, I2, I8, the standing
 * relations, and that memory mirrors the disk; C3, that a configuration is pending while, and only while, it is
 * logged and not known to be committed.
 *
 * @module
 */

import { compareZxid } from "../../src/base/index.ts";
// Past the door: what a peer draws from its configurations whenever one changes.
import { viewOf } from "../../src/zab/membership.ts";
import { violate } from "../sim/violation.ts";
import { outlineName } from "./channels.ts";
import { configName, type Histories } from "./histories.ts";
import type { Member } from "./member.ts";

/** @throws Violation when a step has broken what holds of any member. */
export function checkMember(before: Member, after: Member, histories: Histories): void {
  const { peer, disk } = after;
  const { acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch } = disk.promises;
  const old = before.disk.promises;
  const who = `member ${peer.id}`;
  if (acceptedEpoch < old.acceptedEpoch) violate("I2", `${who}: acceptedEpoch went back`);
  if (currentEpoch < old.currentEpoch) violate("I2", `${who}: currentEpoch went back`);
  if (establishedEpoch < old.establishedEpoch) violate("I2", `${who}: establishedEpoch went back`);
  if (currentEpoch > acceptedEpoch) violate("I2", `${who}: currentEpoch above acceptedEpoch`);
  if (establishedEpoch > currentEpoch) violate("I2", `${who}: establishedEpoch above currentEpoch`);
  // The epoch never goes back, so a promise of it to two can only be one after the other.
  if (acceptedEpoch === old.acceptedEpoch && acceptedLeader !== old.acceptedLeader)
    violate("I1", `${who} promises epoch ${acceptedEpoch} to ${old.acceptedLeader} and to ${acceptedLeader}`);
  const last = histories.zxid(disk.history);
  if (last.epoch > acceptedEpoch) violate("I2", `${who} has stored beyond its promises`);
  if (compareZxid(disk.base, disk.applied) > 0) violate("5.4", `${who}: logBase above applied`);
  if (compareZxid(disk.applied, last) > 0) violate("5.4", `${who}: applied above the log`);
  if (!histories.isPrefix(after.delivered, disk.history))
    violate("I8", `${who} no longer has what it delivered: ${histories.describe(after.delivered)}`);
  const { promises } = peer;
  if (promises.acceptedEpoch !== acceptedEpoch || promises.acceptedLeader !== acceptedLeader)
    violate("5.4", `${who} remembers another promise than it stores`);
  if (promises.currentEpoch !== currentEpoch || promises.establishedEpoch !== establishedEpoch)
    violate("5.4", `${who} remembers other epochs than it stores`);
  const stored = outlineName(histories.outline(disk.history, disk.base));
  if (stored !== outlineName(peer.history.outline))
    violate("5.4", `${who} reports another history than it stores`);
  if (peer.role.kind === "leading" && peer.role.forgetful.size > 0)
    violate("B2", `${who} takes ${[...peer.role.forgetful].join()} for servers that lost their storage`);
  checkConfigs(before, after, histories);
}

/** C3, and what follows from the configurations. */
function checkConfigs(before: Member, { peer, disk }: Member, histories: Histories): void {
  const { config, pending } = disk;
  const who = `member ${peer.id}`;
  if (nameOfBoth(peer) !== nameOfBoth(disk))
    violate("5.4", `${who} goes by ${nameOfBoth(peer)} and stores ${nameOfBoth(disk)}`);
  if (compareZxid(config.version, before.disk.config.version) < 0)
    violate("C3", `${who} goes back to ${configName(config)}`);
  const logged = histories.configOf(disk.history);
  const expected = compareZxid(logged.version, config.version) > 0 ? configName(logged) : "none";
  const counted = pending === undefined ? "none" : configName(pending);
  if (counted !== expected) violate("C3", `${who} counts ${counted} as pending, its log says ${expected}`);
  const delivered = histories.through(disk.history, peer.delivered);
  if (delivered !== undefined && compareZxid(histories.configOf(delivered).version, config.version) > 0)
    violate("C3", `${who} delivers ${configName(histories.configOf(delivered))} and does not follow it`);
  const { active, isVoter, isMember, others } = viewOf(peer.id, peer.options.storageId, peer);
  const isView =
    isVoter === peer.isVoter &&
    isMember === peer.isMember &&
    active.join(";") === peer.active.join(";") &&
    others.join() === peer.others.join();
  if (!isView) violate("5.4", `${who} has another idea of its configurations than follows from them`);
}

function nameOfBoth({ config, pending }: Pick<Member["disk"], "config" | "pending">): string {
  return pending === undefined ? configName(config) : `${configName(config)} and ${configName(pending)}`;
}
