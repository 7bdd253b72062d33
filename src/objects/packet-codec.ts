/**
 * Carriers as bytes: what one member hands to another in one call.
 *
 * Layout: version, the carrier's fields, then each packet behind its length and its kind. A reader skips
 * what it does not know at a packet's end, so a newer member may add fields; it refuses a carrier of a
 * version or with a kind it does not know, which ends the association and changes nothing.
 *
 * @module
 */

import { makeServerId, type ServerId, serverIdMax, unreachable, type Zxid } from "../base/index.ts";
import {
  JuteError,
  type JuteReader,
  JuteWriter,
  packPayloads,
  tryRead,
  unpackPayloads,
} from "../jute/index.ts";
import type {
  Batch,
  Carrier,
  Config,
  ConfigMember,
  LearnerSession,
  Outline,
  OutlineRun,
  Packet,
  Refuse,
  Role,
} from "../zab/index.ts";

/** Members of version N also read N-1, once there is one. */
export const carrierVersion = 1;

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
] as const satisfies readonly Packet["kind"][];

const roles = ["looking", "following", "leading", "observing"] as const satisfies readonly Role[];
const reasons = [
  "epoch",
  "notLeading",
  "outOfOrder",
  "damaged",
] as const satisfies readonly Refuse["reason"][];
const memberRoles = ["voter", "observer"] as const satisfies readonly ConfigMember["role"][];
const modes = ["diff", "trunc", "snap"] as const;
const statuses = ["ok", "reset", "stale", "gap"] as const;

export function encodeCarrier(carrier: Carrier): Uint8Array {
  const writer = new JuteWriter(512);
  writer.writeByte(carrierVersion);
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
  return writer.take();
}

/** `undefined` for bytes that no member of a known version wrote. Payloads are views of `bytes`. */
export function decodeCarrier(bytes: Uint8Array): Carrier | undefined {
  return tryRead(bytes, (reader) => {
    if (reader.readByte() !== carrierVersion) throw new JuteError("unknown version");
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
    };
  });
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
    default:
      return unreachable(kind);
  }
}

interface Scope {
  readonly session: LearnerSession;
  readonly epoch: number;
}

function writeScope(writer: JuteWriter, scope: Scope): void {
  writeSession(writer, scope.session);
  writer.writeInt(scope.epoch);
}

function readScope(reader: JuteReader): Scope {
  return { session: readSession(reader), epoch: reader.readInt() };
}

function writeSession(writer: JuteWriter, session: LearnerSession): void {
  writer.writeMs(session.incarnation);
  writer.writeMs(session.attempt);
}

function readSession(reader: JuteReader): LearnerSession {
  return { incarnation: reader.readMs(), attempt: reader.readMs() };
}

function writeOutline(writer: JuteWriter, outline: Outline): void {
  writer.writeZxid(outline.base);
  writer.writeVarint(outline.runs.length);
  for (const run of outline.runs) writer.writeZxid({ epoch: run.epoch, counter: run.last });
}

function readOutline(reader: JuteReader): Outline {
  const base = reader.readZxid();
  const count = reader.readVarint();
  if (count * 8 > reader.remaining) throw new JuteError("more runs than bytes");
  const runs: OutlineRun[] = [];
  for (let i = 0; i < count; i++) {
    const { epoch, counter } = reader.readZxid();
    runs.push({ epoch, last: counter });
  }
  return { base, runs };
}

/** What was written before there were configurations has nothing here. */
function writeConfig(writer: JuteWriter, config: Config | undefined): void {
  writer.writeBoolean(config !== undefined);
  if (config === undefined) return;
  writer.writeZxid(config.version);
  writer.writeVarint(config.members.length);
  for (const { id, role, storageId } of config.members) {
    writer.writeByte(id);
    writer.writeByte(memberRoles.indexOf(role));
    writer.writePackedText(storageId ?? "");
  }
  const retired = config.retired ?? [];
  writer.writeVarint(retired.length);
  for (const id of retired) writer.writeByte(id);
}

function readConfig(reader: JuteReader): { config?: Config } {
  if (reader.remaining === 0 || !reader.readBoolean()) return {};
  const version = reader.readZxid();
  const members = readList(reader, (): ConfigMember => {
    const id = readServerId(reader);
    const role = readFrom(reader, memberRoles);
    return { id, role, ...readStorageId(reader) };
  });
  const ids = new Set(members.map(({ id }) => id));
  if (ids.size !== members.length) throw new JuteError("a member twice");
  if (!members.some(({ role }) => role === "voter")) throw new JuteError("nobody votes");
  return { config: { version, members, retired: readList(reader, () => readServerId(reader)) } };
}

function readStorageId(reader: JuteReader): { storageId?: string } {
  if (reader.remaining === 0) return {};
  const storageId = reader.readPackedText();
  return storageId === "" ? {} : { storageId };
}

/** Elements of at least a byte each. */
function readList<Element>(reader: JuteReader, read: () => Element): Element[] {
  const count = reader.readVarint();
  if (count > reader.remaining) throw new JuteError("more elements than bytes");
  return Array.from({ length: count }, read);
}

function writeBatch(writer: JuteWriter, batch: Batch): void {
  const first: Zxid = { epoch: batch.epoch, counter: batch.first };
  writer.writeZxid(first);
  writer.writeBuffer(packPayloads(batch.payloads));
}

function readBatch(reader: JuteReader): Batch {
  const { epoch, counter } = reader.readZxid();
  const payloads = unpackPayloads(readBytes(reader));
  if (payloads === undefined || payloads.length === 0) throw new JuteError("unreadable batch");
  return { epoch, first: counter, payloads };
}

function readBytes(reader: JuteReader): Uint8Array {
  const bytes = reader.readBuffer();
  if (bytes === null) throw new JuteError("null bytes");
  return bytes;
}

function readServerId(reader: JuteReader): ServerId {
  const id = readServerIdOrNone(reader);
  if (id === 0) throw new JuteError("no server id");
  return id;
}

function readServerIdOrNone(reader: JuteReader): ServerId | 0 {
  const value = reader.readByte();
  if (value > serverIdMax) throw new JuteError("no server id");
  return value === 0 ? 0 : makeServerId(value);
}

function readFrom<Value>(reader: JuteReader, values: readonly Value[]): Value {
  const value = values[reader.readByte()];
  if (value === undefined) throw new JuteError("unknown number");
  return value;
}

/** Why `decodeCarrier` refuses these bytes: a deploy that is behind is told apart from damage. */
export function whyUnreadable(bytes: Uint8Array): string {
  const [version] = bytes;
  if (version === undefined) return "an empty carrier";
  if (version !== carrierVersion) return `carrier version ${version}, wanted ${carrierVersion}`;
  return `damaged, or a packet of an unknown kind, in carrier version ${version}`;
}
