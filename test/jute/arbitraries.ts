/**
 * Random records for round trips. Text is any well-formed Unicode: a lone surrogate has no UTF-8.
 *
 * @module
 */

import fc, { type Arbitrary } from "fast-check";
import {
  type Acl,
  type ClientRequest,
  type CreateRequest,
  type EnsembleMember,
  EventType,
  type Lifetime,
  type MultiOp,
  type MultiResult,
  makeServerId,
  makeSessionId,
  OPEN_ACL,
  OpCode,
  type RequestOp,
  type ResponseBody,
  type Session,
  type Stat,
  serverIdMax,
  type TreeOp,
  type Txn,
  type TxnOp,
  type WatchableReadRequest,
  type WatchedEvent,
  ZkErrorCode,
  type Znode,
  type Zxid,
} from "../../src/base/index.ts";

export const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
export const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
export const ms = fc.maxSafeInteger();
export const text = fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 60 }));
export const bytes = fc.uint8Array({ maxLength: 200 });
export const bytesOrNull = fc.option(bytes);
export const sessionId = fc.oneof(fc.constant(0n), long).map(makeSessionId);
const texts = fc.array(text, { maxLength: 5 });

export const zxid: Arbitrary<Zxid> = fc.record({
  epoch: fc.nat({ max: 2 ** 31 - 1 }),
  counter: fc.nat({ max: 2 ** 32 - 1 }),
});

const acl: Arbitrary<Acl> = fc.record({ perms: int, scheme: text, id: text });
const acls: Arbitrary<readonly Acl[]> = fc.oneof(fc.constant(OPEN_ACL), fc.array(acl, { maxLength: 4 }));

const stat: Arbitrary<Stat> = fc.record({
  czxid: zxid,
  mzxid: zxid,
  ctime: ms,
  mtime: ms,
  version: int,
  cversion: int,
  aversion: int,
  ephemeralOwner: sessionId,
  dataLength: int,
  numChildren: int,
  pzxid: zxid,
});

function createOf(type: CreateRequest["type"], flags: Arbitrary<number>): Arbitrary<CreateRequest> {
  return fc.record({
    type: fc.constant(type),
    path: text,
    data: bytesOrNull,
    acl: acls,
    flags,
    ttlMs: type === OpCode.CreateTtl ? ms : fc.constant(-1),
  });
}

const deletion = fc.record({ type: fc.constant(OpCode.Delete), path: text, version: int });
const setData = fc.record({
  type: fc.constant(OpCode.SetData),
  path: text,
  data: bytesOrNull,
  version: int,
});
const check = fc.record({ type: fc.constant(OpCode.Check), path: text, version: int });
const checkLock = fc.record({
  type: fc.constant(OpCode.CheckLock),
  path: text,
  token: fc.record({ epoch: fc.nat({ max: 2 ** 31 - 1 }), counter: fc.nat({ max: 2 ** 32 - 1 }) }),
});

/** Parts that come back as they went: flags that a multi refuses or renames have tests of their own. */
const multiOp: Arbitrary<MultiOp> = fc.oneof(
  createOf(OpCode.Create, fc.nat({ max: 3 })),
  createOf(OpCode.Create2, fc.nat({ max: 3 })),
  createOf(OpCode.CreateContainer, fc.nat({ max: 4 })),
  createOf(OpCode.CreateTtl, int),
  deletion,
  setData,
  check,
  checkLock,
);

function watchableReadOf(...types: WatchableReadRequest["type"][]): Arbitrary<WatchableReadRequest> {
  return fc.record({ type: fc.constantFrom(...types), path: text, watch: fc.boolean() });
}

const watches = { relativeZxid: long, data: texts, exist: texts, child: texts };

export const request: Arbitrary<ClientRequest> = fc.oneof(
  createOf(OpCode.Create, int),
  createOf(OpCode.Create2, int),
  createOf(OpCode.CreateContainer, int),
  createOf(OpCode.CreateTtl, int),
  deletion,
  setData,
  fc.record({ type: fc.constant(OpCode.SetAcl), path: text, acl: fc.option(acls), version: int }),
  fc.record({ type: fc.constant(OpCode.Multi), ops: fc.array(multiOp, { maxLength: 6 }) }),
  fc.record({
    type: fc.constant(OpCode.MultiRead),
    ops: fc.array(watchableReadOf(OpCode.GetData, OpCode.GetChildren), { maxLength: 6 }),
  }),
  watchableReadOf(OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2),
  fc.record({
    type: fc.constantFrom(OpCode.GetAcl, OpCode.GetEphemerals, OpCode.GetAllChildrenNumber),
    path: text,
  }),
  fc.record({ type: fc.constant(OpCode.Sync), path: text }),
  fc.record({
    type: fc.constant(OpCode.SetWatches),
    ...watches,
    persistent: fc.constant([]),
    persistentRecursive: fc.constant([]),
  }),
  fc.record({
    type: fc.constant(OpCode.SetWatches2),
    ...watches,
    persistent: texts,
    persistentRecursive: texts,
  }),
  fc.record({ type: fc.constant(OpCode.AddWatch), path: text, mode: int }),
  fc.record({
    type: fc.constantFrom(OpCode.CheckWatches, OpCode.RemoveWatches),
    path: text,
    watcherType: int,
  }),
  fc.record({
    type: fc.constant(OpCode.Reconfig),
    joiningServers: fc.option(text),
    leavingServers: fc.option(text),
    newMembers: fc.option(text),
    curConfigId: long,
  }),
  fc.record({ type: fc.constant(OpCode.Auth), scheme: text, auth: bytesOrNull }),
  fc.record({ type: fc.constant(OpCode.Sasl), token: bytes }),
  fc.constant({ type: OpCode.Ping }),
  fc.constant({ type: OpCode.WhoAmI }),
  fc.constant({ type: OpCode.CloseSession }),
);

const multiResult: Arbitrary<MultiResult> = fc.oneof(
  fc.record({ kind: fc.constant("created"), path: text }),
  fc.record({ kind: fc.constant("createdWithStat"), path: text, stat }),
  fc.record({ kind: fc.constant("deleted") }),
  fc.record({ kind: fc.constant("dataSet"), stat }),
  fc.record({ kind: fc.constant("checked") }),
  fc.record({ kind: fc.constant("data"), data: bytesOrNull, stat }),
  fc.record({ kind: fc.constant("children"), children: texts }),
  fc.record({ kind: fc.constant("error"), code: int }),
);

const answer = <Body extends ResponseBody>(type: OpCode, body: Arbitrary<Body>) =>
  body.map((body) => ({ type, body }));

/** A body, with the type of a request that is answered so. */
export const answers: Arbitrary<{ readonly type: OpCode; readonly body: ResponseBody | undefined }> =
  fc.oneof(
    answer(OpCode.Create, fc.record({ kind: fc.constant("create"), path: text })),
    answer(OpCode.Create2, fc.record({ kind: fc.constant("create2"), path: text, stat })),
    answer(OpCode.CreateContainer, fc.record({ kind: fc.constant("create2"), path: text, stat })),
    answer(OpCode.CreateTtl, fc.record({ kind: fc.constant("create2"), path: text, stat })),
    answer(OpCode.Exists, fc.record({ kind: fc.constant("stat"), stat })),
    answer(OpCode.SetData, fc.record({ kind: fc.constant("stat"), stat })),
    answer(OpCode.SetAcl, fc.record({ kind: fc.constant("stat"), stat })),
    answer(OpCode.GetData, fc.record({ kind: fc.constant("data"), data: bytesOrNull, stat })),
    answer(OpCode.Reconfig, fc.record({ kind: fc.constant("data"), data: bytesOrNull, stat })),
    answer(OpCode.GetChildren, fc.record({ kind: fc.constant("children"), children: texts })),
    answer(OpCode.GetChildren2, fc.record({ kind: fc.constant("children2"), children: texts, stat })),
    answer(OpCode.GetAcl, fc.record({ kind: fc.constant("acl"), acl: acls, stat })),
    answer(OpCode.Sync, fc.record({ kind: fc.constant("path"), path: text })),
    answer(OpCode.Multi, fc.record({ kind: fc.constant("multi"), results: fc.array(multiResult) })),
    answer(OpCode.MultiRead, fc.record({ kind: fc.constant("multi"), results: fc.array(multiResult) })),
    answer(OpCode.GetEphemerals, fc.record({ kind: fc.constant("ephemerals"), paths: texts })),
    answer(OpCode.GetAllChildrenNumber, fc.record({ kind: fc.constant("number"), total: int })),
    answer(
      OpCode.WhoAmI,
      fc.record({
        kind: fc.constant("identities"),
        identities: fc.array(fc.record({ scheme: text, id: text })),
      }),
    ),
    answer(OpCode.Sasl, fc.record({ kind: fc.constant("token"), token: bytesOrNull })),
    answer(OpCode.AddWatch, fc.record({ kind: fc.constant("ok") })),
    fc.record({
      type: fc.constantFrom(OpCode.Delete, OpCode.Ping, OpCode.CloseSession, OpCode.SetWatches),
      body: fc.constant(undefined),
    }),
  );

export const watchedEvent: Arbitrary<WatchedEvent> = fc.record({
  type: fc.constantFrom(...Object.values(EventType)),
  path: text,
});

const lifetime: Arbitrary<Lifetime> = fc.oneof(
  fc.constant({ kind: "persistent" } as const),
  fc.record({ kind: fc.constant("ephemeral"), owner: sessionId }),
  fc.constant({ kind: "container" } as const),
  fc.record({ kind: fc.constant("ttl"), ttlMs: fc.integer({ min: 1, max: 2 ** 40 - 1 }) }),
);

const treeOp: Arbitrary<TreeOp> = fc.oneof(
  fc.record({
    kind: fc.constant("create"),
    path: text,
    data: bytesOrNull,
    acl: acls,
    lifetime,
    parentCreates: int,
  }),
  fc.record({ kind: fc.constant("delete"), path: text }),
  fc.record({ kind: fc.constant("setData"), path: text, data: bytesOrNull, version: int }),
  fc.record({ kind: fc.constant("setAcl"), path: text, acl: acls, aversion: int }),
  fc.record({ kind: fc.constant("check"), path: text }),
);

const code = fc.constantFrom(...Object.values(ZkErrorCode));

const serverId = fc.integer({ min: 1, max: serverIdMax }).map(makeServerId);

const members: Arbitrary<readonly EnsembleMember[]> = fc
  .uniqueArray(
    fc.record(
      { id: serverId, role: fc.constantFrom("voter", "observer"), storageId: fc.string({ minLength: 1 }) },
      { requiredKeys: ["id", "role"] },
    ),
    { selector: ({ id }) => id, minLength: 1, maxLength: 6 },
  )
  .filter((list) => list.some(({ role }) => role === "voter"));

const requestOp: Arbitrary<RequestOp> = fc.oneof(
  { weight: 5, arbitrary: treeOp },
  fc.record({ kind: fc.constant("multi"), ops: fc.array(treeOp, { maxLength: 6 }) }),
  fc.record({ kind: fc.constant("error"), code }),
  fc.record({ kind: fc.constant("failedMulti"), codes: fc.array(code) }),
);

const digest = fc.stringMatching(/^[0-9a-f]{64}$/);

const txnOp: Arbitrary<TxnOp> = fc.oneof(
  { weight: 8, arbitrary: requestOp },
  fc.record({ kind: fc.constant("keyed"), key: digest, fingerprint: digest, op: requestOp }),
  fc.record({ kind: fc.constant("createSession"), timeoutMs: int }),
  fc.record({ kind: fc.constant("renewSession"), timeoutMs: int, ownership: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("closeSession"), ephemerals: texts }),
  fc.record({
    kind: fc.constant("reconfig"),
    servers: fc.string(),
    members,
    retired: fc.array(serverId, { maxLength: 4 }),
  }),
);

export const txn: Arbitrary<Txn> = fc.record({ sessionId, cxid: int, timeMs: ms, op: txnOp });

export const znode: Arbitrary<Znode> = fc.record({
  data: bytesOrNull,
  acl: acls,
  lifetime,
  czxid: zxid,
  mzxid: zxid,
  pzxid: zxid,
  ctime: ms,
  mtime: ms,
  version: int,
  aversion: int,
  creates: int,
  numChildren: int,
});

export const session: Arbitrary<Session> = fc.record({
  id: sessionId,
  timeoutMs: int,
  ownership: fc.maxSafeNat(),
});
