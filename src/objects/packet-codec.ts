/**
 * Carriers as bytes: what one member hands to another in one call.
 *
 * Layout: version, the carrier's fields, each packet behind its length and its kind, and what the sender
 * reads. A reader skips what it does not know at a packet's end and at the carrier's, so a newer member may
 * add fields; it refuses a carrier of a version or with a kind it does not know, which changes nothing.
 *
 * @module
 */

import { unreachable } from "../base/index.ts";
import { JuteError, type JuteReader, JuteWriter, tryRead } from "../jute/index.ts";
import { type Carrier, type Packet, packetVersion, type Refuse, type Role, versionOf } from "../zab/index.ts";
import {
  readBatch,
  readBytes,
  readConfig,
  readFrom,
  readOutline,
  readScope,
  readServerId,
  readServerIdOrNone,
  readSession,
  readStorageId,
  writeBatch,
  writeConfig,
  writeOutline,
  writeScope,
  writeSession,
} from "./packet-fields.ts";

/**
 * Members of version N also read N-1, and write the lowest version that has their packets, so that a member
 * which is behind understands all but the ones it does not know.
 */
export const carrierVersion = packetVersion;

const packetKinds = [
  "notify",
  "cepoch",
  "newEpoch",
  "ackEpoch",
  "refuse",
  "sync",
  "snapPage",
  "entries",
  "received",
  "newLeader",
  "ackLeader",
  "upToDate",
  "propose",
  "ack",
  "commit",
  "inform",
  "ping",
  "pong",
  "solicit",
  "decline",
  "quiesce",
  "quiesced",
  "wake",
  "forward",
  "answer",
] as const satisfies readonly Packet["kind"][];

const roles = ["looking", "following", "leading", "observing"] as const satisfies readonly Role[];
const reasons = [
  "epoch",
  "notLeading",
  "outOfOrder",
  "damaged",
] as const satisfies readonly Refuse["reason"][];
const modes = ["diff", "trunc", "snap"] as const;
const statuses = ["ok", "reset", "stale", "gap"] as const;

export function encodeCarrier(carrier: Carrier): Uint8Array {
  const writer = new JuteWriter(512);
  writer.writeByte(carrier.packets.some(isNew) ? carrierVersion : carrierVersion - 1);
  writer.writeByte(statuses.indexOf(carrier.status));
  writer.writeByte(carrier.from);
  writer.writeByte(carrier.to);
  writer.writeMs(carrier.fromIncarnation);
  writer.writeMs(carrier.toIncarnation);
  writer.writeMs(carrier.linkNo);
  writer.writeMs(carrier.firstSeq);
  writer.writeMs(carrier.ackSeq);
  writer.writeVarint(carrier.packets.length);
  for (const packet of carrier.packets) {
    const at = writer.beginLength();
    writePacket(writer, packet);
    writer.endLength(at);
  }
  writer.writeByte(carrier.reads);
  return writer.take();
}

/** `undefined` for bytes that no member of a known version wrote. Payloads are views of `bytes`. */
export function decodeCarrier(bytes: Uint8Array): Carrier | undefined {
  return tryRead(bytes, (reader) => {
    const version = reader.readByte();
    if (!isKnownVersion(version)) throw new JuteError("unknown version");
    const status = readFrom(reader, statuses);
    const from = readServerId(reader);
    const to = readServerId(reader);
    const fromIncarnation = reader.readMs();
    const toIncarnation = reader.readMs();
    const linkNo = reader.readMs();
    const firstSeq = reader.readMs();
    const ackSeq = reader.readMs();
    const count = reader.readVarint();
    if (count > reader.remaining) throw new JuteError("more packets than bytes");
    const packets: Packet[] = [];
    for (let i = 0; i < count; i++) {
      const length = reader.readInt();
      if (length < 1) throw new JuteError("empty packet");
      packets.push(readPacket(reader.readRaw(length)));
    }
    if (version < carrierVersion && packets.some(isNew)) throw new JuteError("a kind of a later version");
    // Version 1 had no such field; whoever writes a version reads it.
    const reads = Math.max(version, reader.remaining > 0 ? reader.readByte() : 0);
    return {
      from,
      to,
      fromIncarnation,
      toIncarnation,
      linkNo,
      firstSeq,
      packets,
      ackSeq,
      status,
      reads,
    };
  });
}

function isKnownVersion(version: number): boolean {
  return version === carrierVersion || version === carrierVersion - 1;
}

function isNew(packet: Packet): boolean {
  return versionOf(packet) === carrierVersion;
}

function writePacket(writer: JuteWriter, packet: Packet): void {
  writer.writeByte(packetKinds.indexOf(packet.kind));
  switch (packet.kind) {
    case "notify":
      writer.writeByte(roles.indexOf(packet.state));
      writer.writeMs(packet.round);
      writer.writeByte(packet.vote.leader);
      writer.writeZxid(packet.vote.lastZxid);
      writer.writeInt(packet.vote.currentEpoch);
      writer.writeBoolean(packet.confirmed);
      writer.writeBoolean(packet.wantsAnswer);
      writeConfig(writer, packet.config);
      return;
    case "cepoch":
      writeSession(writer, packet.session);
      writer.writeInt(packet.acceptedEpoch);
      writer.writeInt(packet.currentEpoch);
      writeOutline(writer, packet.outline);
      writer.writeBoolean(packet.observer);
      writer.writePackedText(packet.storageId ?? "");
      return;
    case "newEpoch":
      return writeScope(writer, packet);
    case "ackEpoch":
      writeScope(writer, packet);
      writer.writeInt(packet.currentEpoch);
      writeOutline(writer, packet.outline);
      writer.writeZxid(packet.delivered);
      return;
    case "refuse":
      writeSession(writer, packet.session);
      writer.writeByte(reasons.indexOf(packet.reason));
      writer.writeInt(packet.acceptedEpoch);
      return;
    case "sync":
      writeScope(writer, packet);
      writer.writeByte(modes.indexOf(packet.mode));
      writer.writeZxid(packet.after);
      writer.writeZxid(packet.syncEnd);
      writer.writeMs(packet.snapshotId);
      writeConfig(writer, packet.config);
      return;
    case "snapPage":
      writeScope(writer, packet);
      writer.writeMs(packet.snapshotId);
      writer.writeVarint(packet.page);
      writer.writeBoolean(packet.last);
      writer.writeBuffer(packet.bytes);
      return;
    case "entries":
    case "inform":
      writeScope(writer, packet);
      writer.writeZxid(packet.prev);
      writeBatch(writer, packet.batch);
      return;
    case "received":
      writeScope(writer, packet);
      writer.writeZxid(packet.through);
      writer.writeVarint(packet.pages);
      return;
    case "newLeader":
    case "ackLeader":
      writeScope(writer, packet);
      writer.writeZxid(packet.syncEnd);
      return;
    case "upToDate":
    case "commit":
      writeScope(writer, packet);
      writer.writeZxid(packet.commitTo);
      return;
    case "propose":
      writeScope(writer, packet);
      writer.writeZxid(packet.prev);
      writer.writeZxid(packet.commitTo);
      writeBatch(writer, packet.batch);
      return;
    case "ack":
      writeScope(writer, packet);
      writer.writeZxid(packet.through);
      return;
    case "ping":
      writeScope(writer, packet);
      writer.writeZxid(packet.commitTo);
      writer.writeMs(packet.confirmRound);
      return;
    case "pong":
      writeScope(writer, packet);
      writer.writeZxid(packet.through);
      writer.writeMs(packet.confirmRound);
      return;
    case "solicit":
      writer.writeInt(packet.epoch);
      return;
    case "decline":
      writer.writeInt(packet.epoch);
      writer.writeInt(packet.acceptedEpoch);
      return;
    case "quiesce":
      writeScope(writer, packet);
      writer.writeZxid(packet.through);
      writer.writeMs(packet.number);
      return;
    case "quiesced":
      writeScope(writer, packet);
      writer.writeMs(packet.number);
      writer.writeBoolean(packet.accepted);
      return;
    case "wake":
      return writeScope(writer, packet);
    case "forward":
    case "answer":
      writeScope(writer, packet);
      writer.writeBuffer(packet.bytes);
      return;
    default:
      return unreachable(packet);
  }
}

function readPacket(bytes: Uint8Array): Packet {
  const packet = tryRead(bytes, readPacketFields);
  if (packet === undefined) throw new JuteError("unreadable packet");
  return packet;
}

function readPacketFields(reader: JuteReader): Packet {
  const kind = readFrom(reader, packetKinds);
  switch (kind) {
    case "notify":
      return {
        kind,
        state: readFrom(reader, roles),
        round: reader.readMs(),
        vote: {
          leader: readServerIdOrNone(reader),
          lastZxid: reader.readZxid(),
          currentEpoch: reader.readInt(),
        },
        confirmed: reader.readBoolean(),
        wantsAnswer: reader.readBoolean(),
        ...readConfig(reader),
      };
    case "cepoch":
      return {
        kind,
        session: readSession(reader),
        acceptedEpoch: reader.readInt(),
        currentEpoch: reader.readInt(),
        outline: readOutline(reader),
        observer: reader.readBoolean(),
        ...readStorageId(reader),
      };
    case "newEpoch":
      return { kind, ...readScope(reader) };
    case "ackEpoch":
      return {
        kind,
        ...readScope(reader),
        currentEpoch: reader.readInt(),
        outline: readOutline(reader),
        delivered: reader.readZxid(),
      };
    case "refuse":
      return {
        kind,
        session: readSession(reader),
        reason: readFrom(reader, reasons),
        acceptedEpoch: reader.readInt(),
      };
    case "sync":
      return {
        kind,
        ...readScope(reader),
        mode: readFrom(reader, modes),
        after: reader.readZxid(),
        syncEnd: reader.readZxid(),
        snapshotId: reader.readMs(),
        ...readConfig(reader),
      };
    case "snapPage":
      return {
        kind,
        ...readScope(reader),
        snapshotId: reader.readMs(),
        page: reader.readVarint(),
        last: reader.readBoolean(),
        bytes: readBytes(reader),
      };
    case "entries":
    case "inform":
      return { kind, ...readScope(reader), prev: reader.readZxid(), batch: readBatch(reader) };
    case "received":
      return { kind, ...readScope(reader), through: reader.readZxid(), pages: reader.readVarint() };
    case "newLeader":
    case "ackLeader":
      return { kind, ...readScope(reader), syncEnd: reader.readZxid() };
    case "upToDate":
    case "commit":
      return { kind, ...readScope(reader), commitTo: reader.readZxid() };
    case "propose": {
      const scope = readScope(reader);
      const prev = reader.readZxid();
      const commitTo = reader.readZxid();
      return { kind, ...scope, prev, commitTo, batch: readBatch(reader) };
    }
    case "ack":
      return { kind, ...readScope(reader), through: reader.readZxid() };
    case "ping":
      return { kind, ...readScope(reader), commitTo: reader.readZxid(), confirmRound: reader.readMs() };
    case "pong":
      return { kind, ...readScope(reader), through: reader.readZxid(), confirmRound: reader.readMs() };
    case "solicit":
      return { kind, epoch: reader.readInt() };
    case "decline":
      return { kind, epoch: reader.readInt(), acceptedEpoch: reader.readInt() };
    case "quiesce":
      return { kind, ...readScope(reader), through: reader.readZxid(), number: reader.readMs() };
    case "quiesced":
      return { kind, ...readScope(reader), number: reader.readMs(), accepted: reader.readBoolean() };
    case "wake":
      return { kind, ...readScope(reader) };
    case "forward":
    case "answer":
      return { kind, ...readScope(reader), bytes: readBytes(reader) };
    default:
      return unreachable(kind);
  }
}

/** Why `decodeCarrier` refuses these bytes: a deploy that is behind is told apart from damage. */
export function whyUnreadable(bytes: Uint8Array): string {
  const [version] = bytes;
  if (version === undefined) return "an empty carrier";
  if (!isKnownVersion(version)) return `carrier version ${version}, wanted ${carrierVersion}`;
  return `damaged, or a packet of an unknown kind, in carrier version ${version}`;
}
