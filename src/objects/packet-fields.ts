/**
 * The fields that packets are made of, as bytes.
 *
 * @module
 */

import { makeServerId, type ServerId, serverIdMax, type Zxid } from "../base/index.ts";
import { JuteError, type JuteReader, type JuteWriter } from "../jute/index.ts";
import type { Batch, Config, ConfigMember, LearnerSession, Outline, OutlineRun } from "../zab/index.ts";
import { packBatch, unpackBatch } from "./packed-batches.ts";

const memberRoles = ["voter", "observer"] as const satisfies readonly ConfigMember["role"][];

interface Scope {
  readonly session: LearnerSession;
  readonly epoch: number;
}

export function writeScope(writer: JuteWriter, scope: Scope): void {
  writeSession(writer, scope.session);
  writer.writeInt(scope.epoch);
}

export function readScope(reader: JuteReader): Scope {
  return { session: readSession(reader), epoch: reader.readInt() };
}

export function writeSession(writer: JuteWriter, session: LearnerSession): void {
  writer.writeMs(session.incarnation);
  writer.writeMs(session.attempt);
}

export function readSession(reader: JuteReader): LearnerSession {
  return { incarnation: reader.readMs(), attempt: reader.readMs() };
}

export function writeOutline(writer: JuteWriter, outline: Outline): void {
  writer.writeZxid(outline.base);
  writer.writeVarint(outline.runs.length);
  for (const run of outline.runs) writer.writeZxid({ epoch: run.epoch, counter: run.last });
}

export function readOutline(reader: JuteReader): Outline {
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
export function writeConfig(writer: JuteWriter, config: Config | undefined): void {
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

export function readConfig(reader: JuteReader): { config?: Config } {
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

export function readStorageId(reader: JuteReader): { storageId?: string } {
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

export function writeBatch(writer: JuteWriter, batch: Batch): void {
  const first: Zxid = { epoch: batch.epoch, counter: batch.first };
  writer.writeZxid(first);
  writer.writeBuffer(packBatch(batch));
}

export function readBatch(reader: JuteReader): Batch {
  const { epoch, counter } = reader.readZxid();
  const batch = unpackBatch(epoch, counter, readBytes(reader));
  if (batch === undefined) throw new JuteError("unreadable batch");
  return batch;
}

export function readBytes(reader: JuteReader): Uint8Array {
  const bytes = reader.readBuffer();
  if (bytes === null) throw new JuteError("null bytes");
  return bytes;
}

export function readServerId(reader: JuteReader): ServerId {
  const id = readServerIdOrNone(reader);
  if (id === 0) throw new JuteError("no server id");
  return id;
}

export function readServerIdOrNone(reader: JuteReader): ServerId | 0 {
  const value = reader.readByte();
  if (value > serverIdMax) throw new JuteError("no server id");
  return value === 0 ? 0 : makeServerId(value);
}

export function readFrom<Value>(reader: JuteReader, values: readonly Value[]): Value {
  const value = values[reader.readByte()];
  if (value === undefined) throw new JuteError("unknown number");
  return value;
}
