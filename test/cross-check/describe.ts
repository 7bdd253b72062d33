/**
 * Frames from a server as text that two servers must agree on: every field, in the wire's order.
 *
 * Reads the bytes itself rather than through the project's own decoders, so that what both sides of ours
 * would get wrong alike is seen. Lists without an order (children, ephemerals, identities) are sorted.
 *
 * @module
 */

import { OpCode } from "../../src/base/index.ts";
import { JuteReader } from "../../src/jute/index.ts";
import type { Names } from "./names.ts";
import { render } from "./script.ts";

export interface Header {
  readonly xid: number;
  readonly zxid: bigint;
  readonly err: number;
}

export function readHeader(frame: Uint8Array): Header {
  const reader = new JuteReader(frame);
  return { xid: reader.readInt(), zxid: reader.readLong(), err: reader.readInt() };
}

/** @param type - Of the request that is answered; `undefined` for a frame of unknown meaning. */
export function describeReply(type: number | undefined, frame: Uint8Array, names: Names): string {
  const reader = new JuteReader(frame);
  const xid = reader.readInt();
  const zxid = names.zxid(reader.readLong());
  const err = reader.readInt();
  const head = `xid=${xid} zxid=${zxid} err=${err}`;
  // Clients don't look behind an error.
  const body = err === 0 ? describeBody(type, reader, names) : "";
  return `${head}${body === "" ? "" : ` ${body}`}`;
}

export function describeEvent(frame: Uint8Array, names: Names): string {
  const reader = new JuteReader(frame);
  reader.readInt();
  const zxid = names.zxid(reader.readLong());
  const err = reader.readInt();
  const [type, state, path] = [reader.readInt(), reader.readInt(), reader.readUstring()];
  return `event zxid=${zxid} err=${err} type=${type} state=${state} path=${render(path)}${rest(reader)}`;
}

/** The answer to a connect request. */
export function describeConnect(frame: Uint8Array, names: Names): { text: string; session: bigint } {
  const reader = new JuteReader(frame);
  const [version, timeoutMs, session] = [reader.readInt(), reader.readInt(), reader.readLong()];
  const password = reader.readBuffer();
  if (session !== 0n) names.addSession(session);
  const isZero = password?.every((byte) => byte === 0) === true;
  const readOnly = reader.remaining > 0 ? ` readOnly=${reader.readByte()}` : "";
  const text =
    `connected version=${version} timeout=${timeoutMs} session=${names.session(session)}` +
    ` password=${password?.length ?? "null"} bytes${isZero ? " of zero" : ""}${readOnly}${rest(reader)}`;
  return { text, session };
}

function describeBody(type: number | undefined, reader: JuteReader, names: Names): string {
  const text = type === undefined ? "" : bodyOf(type, reader, names);
  return text + rest(reader);
}

/** Bytes behind the record. */
function rest(reader: JuteReader): string {
  const left = reader.readRaw(reader.remaining);
  return left.length === 0 ? "" : ` + ${render(left)}`;
}

function bodyOf(type: number, reader: JuteReader, names: Names): string {
  switch (type) {
    case OpCode.Create:
    case OpCode.Sync:
      return render(reader.readUstring());
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return `${render(reader.readUstring())} ${readStat(reader, names)}`;
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return readStat(reader, names);
    case OpCode.GetData:
    case OpCode.Reconfig:
      return `${render(reader.readBuffer())} ${readStat(reader, names)}`;
    case OpCode.GetChildren:
    case OpCode.GetEphemerals:
      return readStrings(reader);
    case OpCode.GetChildren2:
      return `${readStrings(reader)} ${readStat(reader, names)}`;
    case OpCode.GetAcl:
      return `${readAcls(reader)} ${readStat(reader, names)}`;
    case OpCode.Multi:
    case OpCode.MultiRead:
      return readResults(reader, names);
    case OpCode.GetAllChildrenNumber:
    case OpCode.AddWatch:
      return String(reader.readInt());
    case OpCode.WhoAmI:
      return readIdentities(reader);
    case OpCode.Sasl:
      return render(reader.readBuffer());
    default:
      return "";
  }
}

function readResults(reader: JuteReader, names: Names): string {
  const results: string[] = [];
  for (;;) {
    const [type, isDone, err] = [reader.readInt(), reader.readByte(), reader.readInt()];
    if (isDone !== 0) return `[${results.join("; ")}] end type=${type} err=${err}`;
    const body = type === OpCode.Error ? String(reader.readInt()) : bodyOf(type, reader, names);
    results.push(`type=${type} err=${err} ${body}`.trimEnd());
  }
}

function readStat(reader: JuteReader, names: Names): string {
  const [czxid, mzxid] = [reader.readLong(), reader.readLong()];
  const [ctime, mtime] = [names.time(czxid, reader.readLong()), names.time(mzxid, reader.readLong())];
  const [version, cversion, aversion] = [reader.readInt(), reader.readInt(), reader.readInt()];
  const owner = names.session(reader.readLong());
  const [dataLength, numChildren] = [names.length(reader.readInt()), reader.readInt()];
  const pzxid = names.zxid(reader.readLong());
  return (
    `{czxid=${names.zxid(czxid)} mzxid=${names.zxid(mzxid)} pzxid=${pzxid} ctime=${ctime} mtime=${mtime}` +
    ` version=${version} cversion=${cversion} aversion=${aversion} owner=${owner}` +
    ` length=${dataLength} children=${numChildren}}`
  );
}

function readStrings(reader: JuteReader): string {
  const count = reader.readInt();
  if (count < 0) return "null";
  const texts = Array.from({ length: count }, () => render(reader.readUstring()));
  return `[${texts.sort().join(" ")}]`;
}

function readAcls(reader: JuteReader): string {
  const count = reader.readInt();
  if (count < 0) return "null";
  const acls = Array.from(
    { length: count },
    () => `${reader.readInt()} ${render(reader.readUstring())}:${render(reader.readUstring())}`,
  );
  return `[${acls.join(", ")}]`;
}

function readIdentities(reader: JuteReader): string {
  const count = reader.readInt();
  if (count < 0) return "null";
  const identities = Array.from(
    { length: count },
    () => `${render(reader.readUstring())}:${render(reader.readUstring())}`,
  );
  return `[${identities.sort().join(" ")}]`;
}
