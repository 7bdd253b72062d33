/**
 * Membership: which configurations are active at this peer, and how they change.
 *
 * A configuration is a txn. From the moment a member has it in its log the configuration is pending there,
 * and every quorum is one in the committed and in the pending configuration: no quorum of the old one alone
 * and none of the new one alone can decide anything against the other. Once the txn is delivered it is the
 * committed one. Only committed configurations are passed on by word of mouth (NOTIFY, SYNC): a pending one
 * may yet be truncated, and then nobody must have acted on it.
 *
 * Invariants:
 * - `pending` is the last configuration txn of the log unless that is known to be committed, and was stored
 *   in the same write. A truncation or a snapshot that takes the txn away takes `pending` with it.
 * - A configuration txn is proposed only when the one before it is committed; so a second one in a log says
 *   that the first is.
 * - `config.version` never decreases.
 *
 * Sources: Shraer, Reed, Malkhi and Junqueira, "Dynamic Reconfiguration of Primary/Backup Clusters", USENIX
 * ATC 2012; Ongaro, "Consensus: Bridging Theory and Practice", 2014, 4.3; ZooKeeper `QuorumPeer.processReconfig`.
 *
 * @module
 */

import { compareZxid, type ServerId, ZERO_ZXID, type Zxid } from "../base/index.ts";
import type { Batch } from "./batch.ts";
import { type Config, type Membership, memberOf } from "./config.ts";
import type { Peer, Slot } from "./peer-state.ts";
import { hasQuorum, type Voters, votersOf } from "./quorum.ts";

/** What follows from the two configurations; rebuilt with every change of one. */
export interface MembershipView {
  /** Voters of each active configuration, the committed one first. */
  readonly active: readonly Voters[];
  /** A voter of an active configuration, with the storage that it names. */
  readonly isVoter: boolean;
  readonly isMember: boolean;
  /** Everybody else in the active configurations. */
  readonly others: readonly ServerId[];
}

export function viewOf(
  id: ServerId,
  storageId: string | undefined,
  configs: { readonly config: Config; readonly pending: Config | undefined },
): MembershipView {
  const { config, pending } = configs;
  const both = pending === undefined ? [config] : [config, pending];
  const ids = new Set(both.flatMap(({ members }) => members.map((member) => member.id)));
  const isMember = ids.delete(id);
  const active = both.map(votersOf);
  const isVoter = active.some((voters) => voters.includes(id)) && isStorageOf(both, id, storageId);
  return { active, isVoter, isMember, others: [...ids] };
}

/** Whether each configuration in which the server votes is about this storage. */
function isStorageOf(configs: readonly Config[], id: ServerId, storageId: string | undefined): boolean {
  return configs.every((config) => {
    const member = memberOf(config, id);
    if (member?.role !== "voter" || member.storageId === undefined) return true;
    return member.storageId === storageId;
  });
}

/** Whether a server with this storage counts in the quorums it is listed in. */
export function mayCount(peer: Peer, id: ServerId, storageId: string | undefined): boolean {
  const configs = peer.pending === undefined ? [peer.config] : [peer.config, peer.pending];
  return peer.active.some((voters) => voters.includes(id)) && isStorageOf(configs, id, storageId);
}

/** Whether a member may not know that it is one. The first configuration is known to all who are in it. */
export function mayBeUnknown({ config }: Peer): boolean {
  return compareZxid(config.version, ZERO_ZXID) > 0;
}

/** Writes both down, in the step under way; what follows from them is drawn when the handler has returned. */
function change(peer: Peer, config: Config, pending: Config | undefined): void {
  peer.config = config;
  peer.pending = pending;
  Object.assign(peer, viewOf(peer.id, peer.options.storageId, peer));
  peer.draft.store.push({ kind: "configs", committed: config, pending });
  peer.draft.configs = { committed: config, pending };
  peer.isReconfigured = true;
}

/** A batch was appended: a configuration in it is pending from here on. */
export function noteAppended(peer: Peer, batch: Batch): void {
  const { configOf } = peer.options;
  if (configOf === undefined) return;
  for (const [i, payload] of batch.payloads.entries()) {
    const membership = configOf(payload);
    if (membership === undefined) continue;
    const version = { epoch: batch.epoch, counter: batch.first + i };
    if (compareZxid(version, peer.config.version) <= 0) continue;
    change(peer, peer.pending ?? peer.config, { version, ...membership });
  }
}

/** Everything above `after` was dropped from the log. */
export function noteTruncated(peer: Peer, after: Zxid): void {
  if (peer.pending !== undefined && compareZxid(peer.pending.version, after) > 0) {
    change(peer, peer.config, undefined);
  }
}

/** The log was replaced by a snapshot. Its source said before which configuration is committed. */
export function noteReplaced(peer: Peer): void {
  if (peer.pending !== undefined) change(peer, peer.config, undefined);
}

/** Everything through `through` is committed. */
export function noteDelivered(peer: Peer, through: Zxid): void {
  if (peer.pending !== undefined && compareZxid(peer.pending.version, through) <= 0) {
    change(peer, peer.pending, undefined);
  }
}

/** Somebody says that this configuration is committed. Says whether that was news. */
export function learnConfig(peer: Peer, config: Config | undefined): boolean {
  if (config === undefined || compareZxid(config.version, peer.config.version) <= 0) return false;
  const { pending } = peer;
  const isLater = pending !== undefined && compareZxid(pending.version, config.version) > 0;
  change(peer, config, isLater ? pending : undefined);
  return true;
}

/** Why a configuration cannot be proposed now; `undefined` when it can. */
export type ReconfigRefusal = "notLeading" | "inProgress" | "noQuorum" | "storage";

/**
 * Whether an established leader may propose this membership.
 *
 * A quorum of the new voters must be attached and level with the leader, or the change could not be
 * committed and would hold up everything behind it. So a new voter that is needed for it is an observer
 * first. A voter keeps the storage it voted with: to be counted with another one it has to be an observer in
 * between.
 */
export function refuseReconfig(peer: Peer, next: Membership): ReconfigRefusal | undefined {
  const { role } = peer;
  if (role.kind !== "leading" || role.phase !== "broadcast") return "notLeading";
  if (peer.pending !== undefined) return "inProgress";
  const version = peer.config.version;
  const voters = votersOf({ version, ...next });
  const keepsStorage = next.members.every(({ id, role, storageId }) => {
    const present = memberOf(peer.config, id);
    return role === "observer" || present?.role !== "voter" || present.storageId === storageId;
  });
  if (!keepsStorage) return "storage";
  const storageOf = new Map(next.members.map(({ id, storageId }) => [id, storageId]));
  const isReady = (id: ServerId): boolean =>
    id === peer.id || (!role.forgetful.has(id) && isLevel(peer, role.slots.get(id), storageOf.get(id)));
  return hasQuorum([voters], isReady) ? undefined : "noQuorum";
}

/** The storage that a member is attached with; `undefined` when it is not attached, or said none. */
export function attachedStorageOf(peer: Peer, id: ServerId): string | undefined {
  if (id === peer.id) return peer.options.storageId;
  return peer.role.kind === "leading" ? peer.role.slots.get(id)?.storageId : undefined;
}

/** Whether a member is this leader, or attached to it and has been sent all that is committed. */
export function isLevelWith(peer: Peer, id: ServerId): boolean {
  if (peer.role.kind !== "leading") return false;
  return id === peer.id || isLevel(peer, peer.role.slots.get(id), undefined);
}

function isLevel(peer: Peer, slot: Slot | undefined, storageId: string | undefined): boolean {
  if (slot?.stream === undefined || !slot.served) return false;
  if (storageId !== undefined && slot.storageId !== storageId) return false;
  return compareZxid(slot.stream.sentThrough, peer.delivered) >= 0;
}
