/**
 * Random writes over a few paths and sessions, so that they meet each other often.
 *
 * @module
 */

import fc from "fast-check";
import {
  type Acl,
  type MultiOp,
  makeSessionId,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  Perms,
  type WriteRequest,
} from "../../src/base/index.ts";
import {
  bob,
  bobOnly,
  check,
  create,
  eve,
  multi,
  remove,
  root,
  setAcl,
  setData,
  type Who,
} from "./support.ts";

export interface RandomWrite {
  readonly request: WriteRequest;
  readonly who: Who;
  /** Since the write before. */
  readonly elapsedMs: number;
}

const path = fc.constantFrom(
  "/a",
  "/b",
  "/c",
  "/a/x",
  "/a/y",
  "/a/x/q",
  "/b/z",
  "/zookeeper/n",
  "/a/",
  "/b/.",
);
const oftenAny = fc.constantFrom(-1, -1, -1, -1, 0, 1);
const data = fc.constantFrom(null, new Uint8Array(0), new Uint8Array(300), Uint8Array.of(1, 2, 3));
const readers: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.Read | Perms.Create }];
const acls: readonly (readonly Acl[])[] = [OPEN_ACL, OPEN_ACL, OPEN_ACL, bobOnly, readers, []];
const acl = fc.constantFrom(...acls);

const anyCreate = fc.oneof(
  fc.record({
    type: fc.constantFrom(OpCode.Create, OpCode.Create2),
    flags: fc.constantFrom(0, 0, 1, 1, 2, 3, 4),
    ttlMs: fc.constant(-1),
  }),
  fc.record({ type: fc.constant(OpCode.CreateContainer), flags: fc.constant(4), ttlMs: fc.constant(-1) }),
  fc.record({ type: fc.constant(OpCode.CreateTtl), flags: fc.constantFrom(5, 6), ttlMs: fc.constant(50) }),
);
const creating = fc
  .record({ path, data, acl, kind: anyCreate })
  .map((given) => create(given.path, { ...given.kind, data: given.data, acl: given.acl }));
const deleting = fc.tuple(path, oftenAny).map(([at, version]) => remove(at, version));
const setting = fc.tuple(path, data, oftenAny).map(([at, bytes, version]) => setData(at, bytes, version));
const checking = fc.tuple(path, oftenAny).map(([at, version]) => check(at, version));
const part: fc.Arbitrary<MultiOp> = fc.oneof(creating, creating, deleting, setting, checking);

const request: fc.Arbitrary<WriteRequest> = fc.oneof(
  { weight: 8, arbitrary: creating },
  { weight: 5, arbitrary: deleting },
  { weight: 3, arbitrary: setting },
  {
    weight: 1,
    arbitrary: fc.tuple(path, acl, oftenAny).map(([at, entries, version]) => setAcl(at, entries, version)),
  },
  { weight: 4, arbitrary: fc.array(part, { maxLength: 4 }).map((ops) => multi(...ops)) },
  { weight: 2, arbitrary: path.map((at) => ({ type: OpCode.DeleteContainer, path: at })) },
);

const identities = fc.constantFrom([], [bob], [eve], [root], [root]);
const session = fc.constantFrom(NO_SESSION, ...[1n, 1n, 1n, 2n].map(makeSessionId));
const elapsedMs = fc.constantFrom(0, 1, 10, 60);

const write: fc.Arbitrary<RandomWrite> = fc.record({
  request,
  who: fc.record({ session, identities }),
  elapsedMs,
});

/** Opens and closes are between sessions and themselves: nobody else asks for them. */
const ofSession: fc.Arbitrary<RandomWrite> = fc.record({
  request: fc.constantFrom<WriteRequest>(
    { type: OpCode.CreateSession, timeoutMs: 1_000 },
    { type: OpCode.CreateSession, timeoutMs: 2_000 },
    { type: OpCode.CloseSession },
  ),
  who: fc.record({ session: fc.constantFrom(makeSessionId(1n), makeSessionId(2n)) }),
  elapsedMs,
});

/** Any write at all, with sessions coming and going. */
export const randomWrite: fc.Arbitrary<RandomWrite> = fc.oneof(
  { weight: 9, arbitrary: write },
  { weight: 1, arbitrary: ofSession },
);
