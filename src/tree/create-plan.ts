/**
 * Creates: which kind of znode one asks for.
 *
 * Flags are an enumeration, not a bit set, and the op code has the last word: `createContainer` makes
 * containers, `createTTL` makes TTL znodes, and then flags only say whether the name is sequential.
 *
 * Sources: ZooKeeper `CreateMode.fromFlag`, `EphemeralType.validateTTL`,
 * `PrepRequestProcessor.pRequest2TxnCreate`, `MultiOperationRecord.deserialize`.
 *
 * @module
 */

import { CreateMode, type CreateRequest, type MultiOp, OpCode, ZkErrorCode } from "../base/index.ts";

/** 2^40-1 ms, nearly 35 years: five bytes of ZooKeeper's stored owner. */
const ttlMsMax = 2 ** 40 - 1;

export interface CreatePlan {
  readonly kind: "persistent" | "ephemeral" | "container" | "ttl";
  readonly isSequential: boolean;
}

/** What a create is meant to make, or the code that refuses it. Looks at the request alone. */
export function planCreate(request: CreateRequest, ttlNodes: boolean): CreatePlan | ZkErrorCode {
  const { type, flags } = request;
  if (!Number.isInteger(flags) || flags < 0 || flags > 6) return ZkErrorCode.BadArguments;
  if (isTtlMode(flags) && !ttlNodes) return ZkErrorCode.Unimplemented;
  const ttlMs = type === OpCode.CreateTtl ? request.ttlMs : -1;
  if (isTtlMode(flags) ? ttlMs <= 0 || ttlMs > ttlMsMax : ttlMs >= 0) return ZkErrorCode.BadArguments;

  const isSequential =
    flags === CreateMode.PersistentSequential ||
    flags === CreateMode.EphemeralSequential ||
    flags === CreateMode.PersistentSequentialWithTtl;
  if (type === OpCode.CreateContainer) return { kind: "container", isSequential };
  if (type === OpCode.CreateTtl) {
    // ZooKeeper accepts createTTL without a TTL mode, and then fails to apply it.
    if (!isTtlMode(flags)) return ttlNodes ? ZkErrorCode.BadArguments : ZkErrorCode.Unimplemented;
    return { kind: "ttl", isSequential };
  }
  const isEphemeral = flags === CreateMode.Ephemeral || flags === CreateMode.EphemeralSequential;
  return { kind: isEphemeral ? "ephemeral" : "persistent", isSequential };
}

/**
 * The create a multi's part amounts to: inside a multi, flags also pick the op code. Flag 4 makes a real
 * container, and `createTTL` without a TTL mode is a plain create.
 */
export function normalizeInMulti(request: CreateRequest): CreateRequest {
  if (request.type === OpCode.CreateTtl && isTtlMode(request.flags)) return request;
  if (request.flags === CreateMode.Container) return { ...request, type: OpCode.CreateContainer };
  return request.type === OpCode.CreateTtl ? { ...request, type: OpCode.Create } : request;
}

/** Whether a part breaks its whole multi (`MarshallingError`): ZooKeeper stumbles while reading it. */
export function isMalformedInMulti(part: MultiOp): boolean {
  switch (part.type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
      return (
        part.acl === null || !(part.flags >= CreateMode.Persistent && part.flags <= CreateMode.Container)
      );
    default:
      return false;
  }
}

function isTtlMode(flags: number): boolean {
  return flags === CreateMode.PersistentWithTtl || flags === CreateMode.PersistentSequentialWithTtl;
}
