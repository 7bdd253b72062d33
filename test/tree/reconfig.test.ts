/**
 * Reconfig: what each form of the request becomes, and every refusal in its order.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  formatZxid,
  type Membership,
  makeServerId,
  makeZxid,
  NO_SESSION,
  OpCode,
  type ReconfigRequest,
  type TxnOp,
  ZkErrorCode,
} from "../../src/base/index.ts";
import { MemoryRows, respond, Tree, type TreeOptions } from "../../src/tree/index.ts";
import type { EnsembleView } from "../../src/tree/reconfig.ts";

const [one, two, three, four] = [1, 2, 3, 4].map(makeServerId) as [never, never, never, never];

const three3: Membership = {
  members: [
    { id: one, role: "voter", storageId: "s1" },
    { id: two, role: "voter", storageId: "s2" },
    { id: three, role: "observer", storageId: "s3" },
  ],
  retired: [makeServerId(9)],
};

const firstText =
  "server.1=member-1:2888:3888:participant\nserver.2=member-2:2888:3888:participant\nserver.3=member-3:2888:3888:observer\n";

class Desk {
  readonly tree: Tree;
  view: EnsembleView = {
    version: makeZxid(0, 0),
    membership: three3,
    isChanging: false,
    storageIdOf: (id) => (id === four ? "s4" : undefined),
    hasQuorum: () => true,
  };
  #counter = 0;

  constructor(options: Partial<TreeOptions> = {}) {
    const config = `${firstText}version=0`;
    this.tree = new Tree(new MemoryRows(), { cacheBytesMax: 1 << 20, reconfig: true, config, ...options });
  }

  prepare(
    request: Partial<ReconfigRequest>,
    identities = [{ scheme: "super", id: "" }],
    sessionId = NO_SESSION,
  ) {
    return this.tree.prepare(
      {
        type: OpCode.Reconfig,
        joiningServers: null,
        leavingServers: null,
        newMembers: null,
        curConfigId: -1n,
        ...request,
      },
      { requester: { sessionId, identities }, cxid: 1, nowMs: 77, ensemble: this.view },
    );
  }

  run(request: Partial<ReconfigRequest>): TxnOp {
    return this.prepare(request).op;
  }

  apply(txn: ReturnType<Desk["prepare"]>) {
    this.#counter += 1;
    return this.tree.apply(makeZxid(1, this.#counter), txn);
  }
}

const refused = (code: ZkErrorCode) => ({ kind: "error", code });

describe("reconfig", () => {
  test("incremental: leaves, joins, keeps the rest with their addresses and storages", () => {
    const op = new Desk().run({ joiningServers: "server.4=h4:1:2;2181", leavingServers: "2" });
    expect(op).toEqual({
      kind: "reconfig",
      servers:
        "server.1=member-1:2888:3888:participant\nserver.3=member-3:2888:3888:observer\nserver.4=h4:1:2:participant;0.0.0.0:2181\n",
      members: [
        { id: one, role: "voter", storageId: "s1" },
        { id: three, role: "observer", storageId: "s3" },
        { id: four, role: "voter", storageId: "s4" },
      ],
      retired: [makeServerId(9), two],
    });
  });

  test("incremental: leaving without an id is no bad argument but unreadable, as ZooKeeper says", () => {
    expect(new Desk().run({ leavingServers: "x" })).toEqual(refused(ZkErrorCode.MarshallingError));
  });

  test("incremental: who joins again takes its place, in another role and with its storage", () => {
    const op = new Desk().run({ joiningServers: "server.2=b:1:2:observer;1" });
    expect(op).toMatchObject({
      members: [{ id: one }, { id: three }, { id: two, role: "observer", storageId: "s2" }],
    });
    expect(op).toMatchObject({ retired: [makeServerId(9)] });
  });

  test("a voter keeps the storage it votes with, an observer is known by the one it is attached with", () => {
    const desk = new Desk();
    desk.view = { ...desk.view, storageIdOf: () => "new" };
    const op = desk.run({ joiningServers: "server.3=c:1:2;1" });
    expect(op).toMatchObject({
      members: [
        { id: one, storageId: "s1" },
        { id: two, storageId: "s2" },
        { id: three, role: "voter", storageId: "new" },
      ],
    });
  });

  test("bulk: the new list is all there is", () => {
    const op = new Desk().run({ newMembers: "server.1=a:1:2\nserver.4=d:1:2:observer" });
    expect(op).toMatchObject({
      servers: "server.1=a:1:2:participant\nserver.4=d:1:2:observer\n",
      retired: [makeServerId(9), two, three],
    });
  });

  test("applied, it is the data of /zookeeper/config with the txn's zxid, and its watchers are told", () => {
    const desk = new Desk();
    desk.tree.watches.addData(1, "/zookeeper/config");
    const txn = desk.prepare({ leavingServers: "3" });
    const { outcome, triggers } = desk.apply(txn);
    const text =
      "server.1=member-1:2888:3888:participant\nserver.2=member-2:2888:3888:participant\nversion=100000001";
    const answer = respond(
      {
        type: OpCode.Reconfig,
        joiningServers: null,
        leavingServers: "3",
        newMembers: null,
        curConfigId: -1n,
      },
      outcome,
    );
    expect(answer.body).toMatchObject({ kind: "data", stat: { version: -1, mtime: 77, aversion: -1 } });
    if (answer.body?.kind !== "data") throw new Error("a reconfig answers with data");
    const { data, stat } = answer.body;
    expect(new TextDecoder().decode(data ?? undefined)).toBe(text);
    expect(formatZxid(stat.mzxid)).toBe("0x100000001");
    expect(triggers.map(({ path }) => path)).toEqual(["/zookeeper/config"]);
    expect(desk.tree.get("/zookeeper/config")?.data).toEqual(data);
  });

  test("before the first change the text is what the ensemble was made with, in version 0", () => {
    const { tree } = new Desk();
    expect(new TextDecoder().decode(tree.get("/zookeeper/config")?.data ?? undefined)).toBe(
      `${firstText}version=0`,
    );
  });
});

describe("reconfig is refused", () => {
  test("when it is off, before anything else is looked at", () => {
    const desk = new Desk({ reconfig: false });
    desk.view = { ...desk.view, isChanging: true };
    expect(desk.run({ newMembers: "x" })).toEqual(refused(ZkErrorCode.ReconfigDisabled));
  });

  test("for a session that has ended", () => {
    expect(new Desk().prepare({}, [], 5n as never).op).toEqual(refused(ZkErrorCode.SessionExpired));
  });

  test("while another change is proposed, or prepared and not yet applied", () => {
    const desk = new Desk();
    desk.view = { ...desk.view, isChanging: true };
    expect(desk.run({ curConfigId: 5n })).toEqual(refused(ZkErrorCode.ReconfigInProgress));
    const other = new Desk();
    const txn = other.prepare({ leavingServers: "3" });
    expect(other.run({ leavingServers: "2" })).toEqual(refused(ZkErrorCode.ReconfigInProgress));
    other.apply(txn);
    // The refusal is outstanding too, and applies in its turn.
    expect(other.tree.outstandingCount).toBe(1);
  });

  test("once a change was forgotten with the leadership, the next one may come", () => {
    const desk = new Desk();
    desk.prepare({ leavingServers: "3" });
    desk.tree.discardPrepared();
    expect(desk.run({ leavingServers: "2" }).kind).toBe("reconfig");
  });

  test("for another version than the present one", () => {
    const desk = new Desk();
    desk.view = { ...desk.view, version: makeZxid(1, 7) };
    expect(desk.run({ curConfigId: 0x100000006n, newMembers: "x" })).toEqual(refused(ZkErrorCode.BadVersion));
    expect(desk.run({ curConfigId: 0x100000007n, leavingServers: "3" }).kind).toBe("reconfig");
  });

  test.each<[string, Partial<ReconfigRequest>]>([
    ["text that cannot be read", { newMembers: "server.1=a" }],
    ["a joiner without a client port", { joiningServers: "server.4=d:1:2" }],
    ["nobody who votes", { newMembers: "server.1=a:1:2:observer" }],
    ["nobody at all", { newMembers: "" }],
    ["everybody leaving", { leavingServers: "1,2,3" }],
    ["two servers in one place", { newMembers: "server.1=a:1:2,server.2=a:1:3" }],
    ["one port for both purposes", { newMembers: "server.1=a:1:1" }],
    ["an id that was used before", { joiningServers: "server.9=j:1:2;3" }],
    ["groups", { newMembers: "server.1=a:1:2,group.1=1" }],
  ])("for %s", (_, request) => {
    expect(new Desk().run(request)).toEqual(refused(ZkErrorCode.BadArguments));
  });

  test("without a quorum of the new members, and only then for want of permission", () => {
    const desk = new Desk();
    const anyone = [{ scheme: "world", id: "anyone" }];
    expect(desk.prepare({ leavingServers: "3" }, anyone).op).toEqual(refused(ZkErrorCode.NoAuth));
    desk.view = { ...desk.view, hasQuorum: () => false };
    expect(desk.prepare({ leavingServers: "3" }, anyone).op).toEqual(refused(ZkErrorCode.NewConfigNoQuorum));
  });
});
