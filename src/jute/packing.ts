/**
 * The parts that our own records share: ACLs and lifetimes, packed.
 *
 * Our records (txns, znodes, sessions, payload lists) are for log rows, snapshot pages and peer packets.
 * Each begins with its format's version; a reader refuses every version but the ones it knows. Text and
 * bytes have varint lengths, everything else the widths of `JuteWriter`.
 *
 * @module
 */

import { type Acl, type Lifetime, OPEN_ACL, Perms, unreachable } from "../base/index.ts";
import { JuteError, type JuteReader, type JuteWriter, tryRead } from "./primitives.ts";

/** Stands for `OPEN_ACL`; any other list is a varint of its length plus one, then its entries. */
const openAclTag = 0;

/** `perms` and the lengths of `scheme` and `id`. */
const packedAclBytesMin = 6;

const LifetimeTag = { Persistent: 0, Ephemeral: 1, Container: 2, Ttl: 3 } as const;

export function packAcls(writer: JuteWriter, acls: readonly Acl[]): void {
  if (isOpen(acls)) {
    writer.writeByte(openAclTag);
    return;
  }
  writer.writeVarint(acls.length + 1);
  for (const acl of acls) {
    writer.writeInt(acl.perms);
    writer.writePackedText(acl.scheme);
    writer.writePackedText(acl.id);
  }
}

function isOpen(acls: readonly Acl[]): boolean {
  if (acls === OPEN_ACL) return true;
  const [acl] = acls;
  return acls.length === 1 && acl?.perms === Perms.All && acl.scheme === "world" && acl.id === "anyone";
}

export function unpackAcls(reader: JuteReader): readonly Acl[] {
  const tag = reader.readVarint();
  if (tag === openAclTag) return OPEN_ACL;
  const count = tag - 1;
  if (count * packedAclBytesMin > reader.remaining) throw new JuteError("ACL longer than its record");
  const acls: Acl[] = [];
  for (let i = 0; i < count; i++) {
    acls.push({ perms: reader.readInt(), scheme: reader.readPackedText(), id: reader.readPackedText() });
  }
  return acls;
}

export function packLifetime(writer: JuteWriter, lifetime: Lifetime): void {
  switch (lifetime.kind) {
    case "persistent":
      writer.writeByte(LifetimeTag.Persistent);
      break;
    case "ephemeral":
      writer.writeByte(LifetimeTag.Ephemeral);
      writer.writeSessionId(lifetime.owner);
      break;
    case "container":
      writer.writeByte(LifetimeTag.Container);
      break;
    case "ttl":
      writer.writeByte(LifetimeTag.Ttl);
      writer.writeMs(lifetime.ttlMs);
      break;
    default:
      unreachable(lifetime);
  }
}

export function unpackLifetime(reader: JuteReader): Lifetime {
  const tag = reader.readByte();
  switch (tag) {
    case LifetimeTag.Persistent:
      return { kind: "persistent" };
    case LifetimeTag.Ephemeral:
      return { kind: "ephemeral", owner: reader.readSessionId() };
    case LifetimeTag.Container:
      return { kind: "container" };
    case LifetimeTag.Ttl:
      return { kind: "ttl", ttlMs: reader.readMs() };
    default:
      throw new JuteError(`lifetime ${tag}`);
  }
}

/** Reads a record of ours: `version` first, and nothing after the last field. */
export function tryUnpack<Value>(
  bytes: Uint8Array,
  version: number,
  read: (reader: JuteReader) => Value,
): Value | undefined {
  return tryRead(bytes, (reader) => {
    if (reader.readByte() !== version) throw new JuteError("unknown format version");
    const value = read(reader);
    reader.expectEnd();
    return value;
  });
}
