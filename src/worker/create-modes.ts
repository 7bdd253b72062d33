/**
 * The modes a znode may be created in over HTTP, by name.
 *
 * @module
 */

import { CreateMode, type CreateRequest, OpCode } from "../base/index.ts";

/** How a create asks for its mode on the wire. */
export interface CreateKind extends Pick<CreateRequest, "type" | "flags"> {
  /** Its flags when it has a time to live; absent: it cannot have one. */
  readonly ttlFlags?: number | undefined;
  /** The server appends to its path. */
  readonly isSequential?: boolean | undefined;
  /** It belongs to a session. */
  readonly isEphemeral?: boolean | undefined;
}

const kinds: Readonly<Record<string, CreateKind>> = {
  persistent: {
    type: OpCode.Create2,
    flags: CreateMode.Persistent,
    ttlFlags: CreateMode.PersistentWithTtl,
  },
  persistent_sequential: {
    type: OpCode.Create2,
    flags: CreateMode.PersistentSequential,
    ttlFlags: CreateMode.PersistentSequentialWithTtl,
    isSequential: true,
  },
  ephemeral: { type: OpCode.Create2, flags: CreateMode.Ephemeral, isEphemeral: true },
  ephemeral_sequential: {
    type: OpCode.Create2,
    flags: CreateMode.EphemeralSequential,
    isSequential: true,
    isEphemeral: true,
  },
  container: { type: OpCode.CreateContainer, flags: CreateMode.Container },
};

export const createModes: readonly string[] = Object.keys(kinds);

/** `undefined` for a word that is no mode. */
export function createKindOf(mode: string): CreateKind | undefined {
  return Object.hasOwn(kinds, mode) ? kinds[mode] : undefined;
}

/** Behind the colon of a refusal. */
export const ephemeralNeeds = "an ephemeral belongs to a session: open one at /sessions, and send Ek-Session";
