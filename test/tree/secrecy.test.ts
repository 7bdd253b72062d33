/**
 * Proves that no operation reveals what its subject may not read: two worlds that differ in secrets only
 * look the same to someone without permissions, whatever they ask, write and watch.
 *
 * The worlds differ in what unreadable znodes hold, how often they changed, who else may read them, and
 * how many children they have under which names. They agree in where they are: as in ZooKeeper anybody may
 * find out whether a path whose name they guess exists (`NoNode` or `NoAuth`), so the hidden names are no
 * names that the subject tries. Left out are versions as told to those who may DELETE or WRITE without
 * READ (`BadVersion`), and quotas: `/zookeeper/quota` is open until somebody sets its ACL.
 *
 * @module
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Acl,
  makeSessionId,
  makeZxid,
  OpCode,
  Perms,
  type ReadRequest,
  type WriteRequest,
} from "../../src/base/index.ts";
import {
  bob,
  bobOnly,
  check,
  checkLock,
  create,
  eve,
  Member,
  multi,
  remove,
  root,
  setAcl,
  setData,
  type Who,
} from "./support.ts";

const mallory: Who = { session: makeSessionId(2n), identities: [eve] };
const admin: Who = { session: makeSessionId(1n), identities: [bob, root] };
const watcher = 7;

/** The root may be listed and created under, and nothing else. */
const rootAcl: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.Read | Perms.Create }];
const otherBobOnly: readonly Acl[] = [...bobOnly, { scheme: "digest", id: "carol:other", perms: Perms.Read }];

const known = ["/", "/secret", "/secret/known", "/secret/none", "/open", "/open/x", "/zookeeper", ""];
const path = fc.constantFrom(...known);
const version = fc.constantFrom(-1, 0, 1, 2, 3);
const size = fc.integer({ min: 0, max: 3 });
const anybody: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: Perms.All }];
const zxid = fc.integer({ min: 0, max: 30 }).map((counter) => (1n << 32n) + BigInt(counter));
const token = fc.integer({ min: 1, max: 30 }).map((counter) => makeZxid(1, counter));
const paths = fc.array(path, { maxLength: 3 });

const writing = fc.oneof(
  fc.tuple(path, fc.integer({ min: 0, max: 3 })).map(([at, flags]) => create(at, { flags })),
  fc.tuple(path, version).map(([at, wanted]) => remove(at, wanted)),
  fc.tuple(path, size, version).map(([at, length, wanted]) => setData(at, new Uint8Array(length), wanted)),
);
const write: fc.Arbitrary<WriteRequest> = fc.oneof(
  writing,
  fc.tuple(path, version).map(([at, wanted]) => setAcl(at, anybody, wanted)),
  fc
    .array(
      fc.oneof(
        writing,
        fc.tuple(path, version).map(([at, wanted]) => check(at, wanted)),
        fc.tuple(path, token).map(([at, wanted]) => checkLock(at, wanted)),
      ),
      { maxLength: 3 },
    )
    .map((ops) => multi(...ops)),
);
const watchable = fc.record({
  type: fc.constantFrom(OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2),
  path,
  watch: fc.boolean(),
});
const read: fc.Arbitrary<ReadRequest> = fc.oneof(
  watchable,
  fc.record({
    type: fc.constantFrom(OpCode.GetAcl, OpCode.GetEphemerals, OpCode.GetAllChildrenNumber),
    path,
  }),
  fc.array(watchable, { maxLength: 3 }).map((ops) => ({ type: OpCode.MultiRead, ops })),
  fc.record({ type: fc.constant(OpCode.AddWatch), path, mode: fc.constantFrom(0, 1) }),
  fc.record({
    type: fc.constantFrom(OpCode.CheckWatches, OpCode.RemoveWatches),
    path,
    watcherType: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({
    type: fc.constant(OpCode.SetWatches2),
    relativeZxid: zxid,
    data: paths,
    exist: paths,
    child: paths,
    persistent: paths,
    persistentRecursive: paths,
  }),
  fc.constant({ type: OpCode.WhoAmI } as const),
);

/** One txn of somebody who may, of whose kind nobody else must learn. */
const secretWrite = fc.oneof(
  size.map((length) => setData("/secret", new Uint8Array(length))),
  size.map((length) => setData("/secret/known", new Uint8Array(length))),
  fc.constantFrom(bobOnly, otherBobOnly).map((acl) => setAcl("/secret/known", acl)),
  fc
    .tuple(fc.constantFrom("/secret/hidden-", "/secret/known/hidden-"), fc.constantFrom(2, 3))
    .map(([at, flags]) => create(at, { flags, acl: bobOnly })),
  fc.constantFrom("/secret/hidden-0000000001", "/secret/known/hidden-0000000000").map((at) => remove(at)),
);

type Step =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  /** What is done in either world. */
  | { readonly kind: "secret"; readonly requests: readonly [WriteRequest, WriteRequest] };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: write.map((request) => ({ kind: "write", request }) as const) },
  { weight: 4, arbitrary: read.map((request) => ({ kind: "read", request }) as const) },
  {
    weight: 3,
    arbitrary: fc.tuple(secretWrite, secretWrite).map((requests) => ({ kind: "secret", requests }) as const),
  },
);

/** Everything the subject learns, in order. */
function experience(steps: readonly Step[], world: 0 | 1): unknown[] {
  const member = new Member();
  for (const who of [admin, mallory]) member.must({ type: OpCode.CreateSession, timeoutMs: 1_000 }, who);
  member.must(create("/secret", { acl: bobOnly }), admin);
  member.must(create("/secret/known", { acl: bobOnly }), admin);
  member.must(create("/open"), admin);
  member.must(setAcl("/", rootAcl), admin);
  const mayRead = (acl: readonly Acl[]) => member.tree.canRead(acl, mallory.identities ?? []);
  const learnt: unknown[] = [];
  const hear = () => {
    for (const trigger of member.lastApplied?.triggers ?? []) {
      learnt.push(...member.tree.watches.fire(trigger, () => mayRead(trigger.acl)));
    }
  };
  for (const step of steps) {
    if (step.kind === "read") {
      learnt.push(member.read(step.request, { ...mallory, watcher }));
      continue;
    }
    const outcome =
      step.kind === "write" ? member.write(step.request, mallory) : member.write(step.requests[world], admin);
    hear();
    if (step.kind === "write") learnt.push(outcome);
  }
  return learnt;
}

test("worlds that differ in secrets look the same to who may not read them (property)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      expect(experience(steps, 0)).toEqual(experience(steps, 1));
    }),
    { numRuns: 2_000 },
  );
});
