/**
 * Packets as one line of text.
 *
 * @module
 */

import { formatZxid, unreachable } from "../../src/base/index.ts";
import { type Batch, lastOf, type Packet } from "../../src/zab/index.ts";

/** Votes, heartbeats and pacing: left out unless asked for. */
export function isQuietKind({ kind }: Packet): boolean {
  return kind === "notify" || kind === "ping" || kind === "pong" || kind === "received";
}

function lastOfBatch({ epoch, first, payloads }: Batch): string {
  return formatZxid({ epoch, counter: first + payloads.length - 1 });
}

export function printPacket(packet: Packet): string {
  switch (packet.kind) {
    case "notify": {
      const { state, round, vote, confirmed } = packet;
      const { leader, currentEpoch, lastZxid } = vote;
      const claim = `vote=(${leader} epoch=${currentEpoch} last=${formatZxid(lastZxid)})`;
      return `notify ${state} round=${round} ${claim}${confirmed ? " confirmed" : ""}`;
    }
    case "cepoch": {
      const role = packet.observer ? " observer" : "";
      const epochs = `accepted=${packet.acceptedEpoch} current=${packet.currentEpoch}`;
      return `cepoch${role} ${epochs} last=${formatZxid(lastOf(packet.outline))}`;
    }
    case "newEpoch":
      return `newEpoch ${packet.epoch}`;
    case "ackEpoch":
      return `ackEpoch ${packet.epoch} current=${packet.currentEpoch} last=${formatZxid(lastOf(packet.outline))}`;
    case "refuse":
      return `refuse ${packet.reason} accepted=${packet.acceptedEpoch}`;
    case "sync":
      return `sync ${packet.mode} after=${formatZxid(packet.after)} end=${formatZxid(packet.syncEnd)}`;
    case "snapPage":
      return `snapPage ${packet.page}${packet.last ? " last" : ""}`;
    case "entries":
      return `entries after=${formatZxid(packet.prev)} through=${lastOfBatch(packet.batch)}`;
    case "received":
      return `received ${formatZxid(packet.through)} pages=${packet.pages}`;
    case "newLeader":
      return `newLeader ${packet.epoch} end=${formatZxid(packet.syncEnd)}`;
    case "ackLeader":
      return `ackLeader ${packet.epoch} end=${formatZxid(packet.syncEnd)}`;
    case "upToDate":
      return `upToDate commit=${formatZxid(packet.commitTo)}`;
    case "propose":
      return `propose after=${formatZxid(packet.prev)} through=${lastOfBatch(packet.batch)} commit=${formatZxid(packet.commitTo)}`;
    case "ack":
      return `ack ${formatZxid(packet.through)}`;
    case "commit":
      return `commit ${formatZxid(packet.commitTo)}`;
    case "inform":
      return `inform after=${formatZxid(packet.prev)} through=${lastOfBatch(packet.batch)}`;
    case "ping":
      return `ping commit=${formatZxid(packet.commitTo)}${packet.confirmRound > 0 ? ` round=${packet.confirmRound}` : ""}`;
    case "pong":
      return `pong ${formatZxid(packet.through)}${packet.confirmRound > 0 ? ` round=${packet.confirmRound}` : ""}`;
    case "solicit":
      return `solicit ${packet.epoch}`;
    case "decline":
      return `decline ${packet.epoch} accepted=${packet.acceptedEpoch}`;
    case "quiesce":
      return `quiesce through=${formatZxid(packet.through)}`;
    case "quiesced":
      return `quiesced ${packet.accepted ? "yes" : "no"}`;
    case "wake":
      return "wake";
    case "forward":
    case "answer":
      return `${packet.kind} ${new TextDecoder().decode(packet.bytes)}`;
    default:
      return unreachable(packet);
  }
}
