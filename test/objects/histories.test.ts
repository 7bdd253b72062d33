/**
 * Histories that broke other implementations, as far as the shell answers for them: what reaches storage,
 * in which order with what leaves, what a snapshot is, and what the leader may conclude from silence.
 *
 * Rows are those of `docs/internals/histories.md`. Real histories, trees, replicas and sessions over SQLite
 * in memory; calls between members arrive when the test lets them.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  assert,
  CreateMode,
  compareZxid,
  makeServerId,
  makeSessionId,
  makeZxid,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type ServerId,
  type SessionId,
  type Txn,
  type WriteRequest,
  ZERO_ZXID,
  type Zxid,
} from "../../src/base/index.ts";
import { encodeTxn } from "../../src/jute/index.ts";
import { History } from "../../src/objects/history.ts";
import { Replica } from "../../src/objects/replica.ts";
import { Sessions } from "../../src/objects/sessions.ts";
import { migrate } from "../../src/objects/sql/meta.ts";
import { SqlTreeRows } from "../../src/objects/sql/znodes.ts";
import { peerOptions } from "../../src/objects/timing.ts";
import { MemoryRows, Tree } from "../../src/tree/index.ts";
import type { StoreOp } from "../../src/zab/index.ts";
import { checkInvariants, create, dump, multi, remove, setAcl, setData } from "../tree/support.ts";
import { openStorage } from "./support/sqlite.ts";

const voters = [makeServerId(1), makeServerId(2), makeServerId(3)];
const config = { voters, observers: [], secret: "s" };
const treeOptions = { cacheBytesMax: 1_000_000 };

/** A member's storage, with history and tree over it: as much of a member as a snapshot needs. */
class Disk {
  readonly opened = openStorage();
  rows: SqlTreeRows;
  history: History;
  tree: Tree;
  readonly log: { readonly zxid: Zxid; readonly txn: Txn }[] = [];

  constructor() {
    migrate(this.opened.storage);
    this.rows = new SqlTreeRows(this.opened.storage);
    this.history = new History(this.opened.storage, this.rows);
    this.tree = new Tree(this.rows, treeOptions);
  }

  /** Memory is gone. */
  restart(): void {
    this.rows = new SqlTreeRows(this.opened.storage);
    this.history = new History(this.opened.storage, this.rows);
    this.tree = new Tree(this.rows, treeOptions);
  }

  write(request: WriteRequest, sessionId: SessionId = NO_SESSION): void {
    const requester = { sessionId, identities: [] };
    this.apply(
      makeZxid(1, this.tree.applied.counter + 1),
      this.tree.prepare(request, { requester, cxid: 0, nowMs: 5 }),
    );
  }

  apply(zxid: Zxid, txn: Txn): void {
    this.tree.apply(zxid, txn);
    this.log.push({ zxid, txn });
  }
}

/** Everything replicated, data as text: comparing hundreds of kilobytes byte by byte is slow. */
function textsOf(tree: Tree): unknown {
  const text = JSON.stringify(dump(tree), (_key, value: unknown) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString("base64")
      : typeof value === "bigint"
        ? String(value)
        : value,
  );
  return JSON.parse(text);
}

const ephemeral = { flags: CreateMode.Ephemeral };
const session = makeSessionId(7n);

/** 600 kB in znodes of 60 kB: three pages and one of sessions. */
function largeState(): Disk {
  const disk = new Disk();
  disk.write({ type: OpCode.CreateSession, timeoutMs: 4_000 }, session);
  for (const name of "abcdefghij") disk.write(create(`/${name}`, { data: new Uint8Array(60_000) }));
  disk.write(create("/a/e", ephemeral), session);
  disk.write(create("/j/e", ephemeral), session);
  return disk;
}

/** Each is a change that a copy made meanwhile would have in part. */
const changes: readonly ((disk: Disk) => void)[] = [
  (disk) => disk.write(remove("/b")),
  (disk) => disk.write(create("/b", { data: new Uint8Array(9) })),
  (disk) => disk.write(multi(create("/a/x"), create("/j/x"), setData("/e", new Uint8Array(3)))),
  (disk) => disk.write(setAcl("/i", [...OPEN_ACL])),
  (disk) => disk.write({ type: OpCode.CloseSession }, session),
  (disk) => disk.write(create("/zz")),
];

/** Reads all pages; `between` happens before each of them. */
function pagesOf(disk: Disk, between: (page: number) => void): { zxid: Zxid; pages: Uint8Array[] } {
  const { id, zxid } = disk.history.openSnapshot();
  const pages: Uint8Array[] = [];
  for (;;) {
    between(pages.length);
    const page = disk.history.readSnapshotPage(id, pages.length);
    assert(page !== undefined, "the snapshot is open");
    pages.push(page.bytes);
    if (page.last) break;
  }
  disk.history.closeSnapshot(id);
  return { zxid, pages };
}

function install(target: Disk, zxid: Zxid, pages: readonly Uint8Array[]): void {
  const staged: StoreOp[] = pages.map((bytes, page) => ({ kind: "stagePage", page, bytes }));
  target.history.write([...staged, { kind: "installSnapshot", zxid, pages: pages.length }]);
  target.tree.reload();
}

describe("histories: rows 19 and 36: a snapshot is one moment, whatever is written while its pages leave", () => {
  const pageCount = (() => {
    const disk = largeState();
    disk.tree.checkpoint();
    return pagesOf(disk, () => undefined).pages.length;
  })();
  // How many of the changes have happened before the first page, the second, ...
  const schedules = Array.from({ length: pageCount + 1 }, (_, at) => at).flatMap((first) =>
    Array.from({ length: changes.length + 1 }, (_, count) => [first, count] as const),
  );

  test("the pages are several", () => {
    expect(pageCount).toBeGreaterThan(3);
  });

  test.each(schedules)("from page %i on, %i changes before it and the others after", (at, count) => {
    const source = largeState();
    source.tree.checkpoint();
    const cut = source.tree.applied;
    const before = textsOf(source.tree);
    const waiting = [...changes];
    const change = (most: number) => {
      for (const each of waiting.splice(0, most)) each(source);
    };
    const { zxid, pages } = pagesOf(source, (page) => {
      if (page === at) change(count);
      if (page === at + 1) change(changes.length);
      source.tree.checkpoint();
    });
    change(changes.length);
    expect(zxid).toEqual(cut);

    const target = new Disk();
    install(target, zxid, pages);
    expect(textsOf(target.tree)).toEqual(before);
    target.restart();
    expect(textsOf(target.tree)).toEqual(before);
    for (const each of source.log) {
      if (compareZxid(each.zxid, zxid) > 0) target.apply(each.zxid, each.txn);
    }
    checkInvariants(target.tree);
    expect(textsOf(target.tree)).toEqual(textsOf(source.tree));
  });

  test("one that is given up has no page of another moment", () => {
    const source = largeState();
    source.tree.checkpoint();
    const { id } = source.history.openSnapshot();
    source.history.readSnapshotPage(id, 0);
    for (const change of changes) change(source);
    source.history.snapshots.giveUp();
    source.tree.checkpoint();
    expect(source.history.readSnapshotPage(id, 1)).toBeUndefined();
  });
});

describe("histories: row 23 (ZK-3701): a truncation that fails", () => {
  test.each(["DELETE FROM log", "INSERT INTO log"])("at `%s` leaves all of the log", (statement) => {
    const disk = new Disk();
    const payloads = [1, 2, 3, 4].map((byte) => Uint8Array.of(byte));
    disk.history.write([{ kind: "append", prev: ZERO_ZXID, batch: { epoch: 1, first: 1, payloads } }]);
    disk.opened.failOn(statement);
    expect(() => disk.history.write([{ kind: "truncate", after: makeZxid(1, 2) }])).toThrow("disk");
    disk.opened.failOn(undefined);
    disk.restart();
    expect(disk.history.load(config).outline.runs).toEqual([{ epoch: 1, last: 4 }]);
    expect(disk.history.readAfter(makeZxid(1, 2), 99)).toEqual({
      epoch: 1,
      first: 3,
      payloads: payloads.slice(2),
    });
    disk.history.write([{ kind: "truncate", after: makeZxid(1, 2) }]);
    disk.restart();
    expect(disk.history.load(config).outline.runs).toEqual([{ epoch: 1, last: 2 }]);
  });
});

describe("histories: row 37 (ZK-3127): a crash in the middle of a multi-operation txn", () => {
  test.each(["INSERT INTO znode", "INSERT INTO session", "INSERT INTO meta"])(
    "at `%s` leaves nothing of it, nor of the position",
    (statement) => {
      const disk = new Disk();
      disk.write(create("/m"));
      disk.tree.checkpoint();
      const before = dump(disk.tree);
      disk.write({ type: OpCode.CreateSession, timeoutMs: 4_000 }, session);
      disk.write(multi(create("/m/x"), setData("/m", new Uint8Array(3)), create("/m/y")));
      const after = dump(disk.tree);
      disk.opened.failOn(statement);
      expect(() => disk.tree.checkpoint()).toThrow("disk");
      disk.opened.failOn(undefined);
      disk.restart();
      expect(dump(disk.tree)).toEqual(before);
      for (const { zxid, txn } of disk.log) {
        if (compareZxid(zxid, disk.tree.applied) > 0) disk.tree.apply(zxid, txn);
      }
      expect(dump(disk.tree)).toEqual(after);
    },
  );
});

/** Three replicas; a call arrives at once, or is lost when either end is down, and its answer a little later. */
class Ensemble {
  readonly disks = new Map<ServerId, Disk>();
  readonly replicas = new Map<ServerId, Replica>();
  /** What is carried in a call; `undefined`: it is lost. */
  carry: (bytes: Uint8Array) => Uint8Array | undefined = (bytes) => bytes;
  /** The same for answers. */
  reply: (bytes: Uint8Array) => Uint8Array | undefined = (bytes) => bytes;
  carried = 0;
  readonly #incarnations = new Map<ServerId, number>();

  start(id: ServerId): void {
    const disk = this.disks.get(id) ?? new Disk();
    this.disks.set(id, disk);
    disk.restart();
    const incarnation = (this.#incarnations.get(id) ?? 0) + 1;
    this.#incarnations.set(id, incarnation);
    const { history, rows, tree } = disk;
    const replica: Replica = new Replica({
      id,
      config,
      options: peerOptions(id, incarnation),
      history,
      rows,
      tree,
      callPeer: (peer, bytes) => this.#call(id, replica, peer, bytes),
      hooks: {
        serving: () => undefined,
        applied: () => undefined,
        reconfigured: () => undefined,
        confirmed: () => undefined,
        rejected: () => undefined,
        forwarded: () => true,
        heardLeader: () => true,
        answering: () => undefined,
        answered: (take) => {
          if (this.replicas.get(id) !== replica) return;
          take();
          replica.flush();
        },
        halted: () => undefined,
      },
    });
    this.replicas.set(id, replica);
    replica.boot();
    replica.flush();
  }

  crash(id: ServerId): void {
    this.replicas.delete(id);
  }

  async #call(from: ServerId, caller: Replica, peer: ServerId, bytes: Uint8Array): Promise<Uint8Array> {
    const carrier = this.replicas.get(from) === caller ? this.carry(bytes) : undefined;
    await Promise.resolve();
    const callee = this.replicas.get(peer);
    if (carrier === undefined || callee === undefined) throw new Error("lost");
    this.carried += 1;
    const answer = callee.exchange(carrier);
    callee.flush();
    const arrived = answer === undefined ? undefined : this.reply(answer);
    if (arrived === undefined) throw new Error("refused");
    return arrived;
  }

  async tick(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const replica of [...this.replicas.values()]) {
        replica.tick();
        replica.flush();
      }
      await this.quiet();
    }
  }

  /** Until no call is under way. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.carried; ) {
      before = this.carried;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  leader(): Replica {
    const found = [...this.replicas.values()].find(({ serving }) => serving.kind === "leading");
    assert(found !== undefined, "somebody leads");
    return found;
  }

  propose(replica: Replica, path: string): void {
    const disk = [...this.replicas].find(([, each]) => each === replica);
    const tree = this.disks.get(disk?.[0] ?? makeServerId(1))?.tree;
    assert(tree !== undefined, "the leader has a tree");
    const requester = { sessionId: NO_SESSION, identities: [] };
    const txn = tree.prepare(create(path), { requester, cxid: 0, nowMs: 5 });
    replica.propose([txn], [encodeTxn(txn)]);
  }

  has(path: string): ServerId[] {
    return voters.filter((id) => this.disks.get(id)?.tree.get(path) !== undefined);
  }
}

async function established(): Promise<Ensemble> {
  const ensemble = new Ensemble();
  for (const id of voters) ensemble.start(id);
  await ensemble.tick(20);
  ensemble.propose(ensemble.leader(), "/first");
  ensemble.leader().flush();
  await ensemble.tick(4);
  expect(ensemble.has("/first")).toEqual(voters);
  return ensemble;
}

describe("histories: row 47 (ZK-3769): a message that cannot be read", () => {
  const noise = (bytes: Uint8Array) => bytes.map((byte, at) => (at === 0 ? 99 : byte ^ 0x5a));
  const cut = (bytes: Uint8Array) => bytes.slice(0, Math.floor(bytes.length / 2));
  test.each([
    ["garbage in calls", "carry", noise],
    ["cut-off calls", "carry", cut],
    ["garbage in answers", "reply", noise],
    ["cut-off answers", "reply", cut],
    ["empty answers", "reply", () => new Uint8Array(0)],
  ] as const)("%s: nothing is delivered, and the members are fully alive", async (_name, way, spoil) => {
    const ensemble = await established();
    ensemble[way] = spoil;
    ensemble.propose(ensemble.leader(), "/spoilt");
    ensemble.leader().flush();
    await ensemble.tick(3);
    if (way === "carry") expect(ensemble.has("/spoilt")).toEqual([]);
    ensemble[way] = (bytes) => bytes;
    await ensemble.tick(60);
    for (const replica of ensemble.replicas.values()) expect(replica.halted).toBeUndefined();
    const counts = [...ensemble.replicas.values()].map(({ unreadable }) => unreadable);
    expect(Math.max(...counts)).toBeGreaterThan(0);
    ensemble.propose(ensemble.leader(), "/next");
    ensemble.leader().flush();
    await ensemble.tick(4);
    expect(ensemble.has("/next")).toEqual(voters);
    expect(new Set(voters.map((id) => JSON.stringify(ensemble.disks.get(id)?.tree.applied))).size).toBe(1);
  });

  test("every truncation of a carrier is refused by itself, and changes nothing", async () => {
    const ensemble = await established();
    const heard: Uint8Array[] = [];
    ensemble.carry = (bytes) => {
      heard.push(bytes.slice());
      return bytes;
    };
    await ensemble.tick(8);
    const [first] = heard;
    assert(first !== undefined, "members talk");
    const target = ensemble.leader();
    const before = target.status;
    // Without its last byte, what the sender reads, it is a carrier of version 1.
    for (let length = 0; length < first.length - 1; length++) {
      expect(target.exchange(first.slice(0, length))).toBeUndefined();
    }
    expect(target.status).toEqual(before);
  });
});

describe("histories: row 54: nothing leaves before it is stored", () => {
  test("a leader whose log takes no write sends no proposal, and commits nothing", async () => {
    const ensemble = await established();
    const leader = ensemble.leader();
    const [id] = [...ensemble.replicas].find(([, each]) => each === leader) ?? [];
    assert(id !== undefined, "the leader is a member");
    const disk = ensemble.disks.get(id);
    disk?.opened.failOn("INSERT INTO log");
    expect(() => ensemble.propose(leader, "/unstored")).toThrow("disk");
    // The member aborts the object here. Even if what it has gathered left:
    leader.flush();
    await ensemble.quiet();
    ensemble.crash(id);
    disk?.opened.failOn(undefined);
    expect(voters.map((each) => ensemble.disks.get(each)?.history.load(config).outline.runs)).toEqual(
      voters.map(() => [{ epoch: 1, last: 1 }]),
    );
    ensemble.start(id);
    await ensemble.tick(80);
    ensemble.propose(ensemble.leader(), "/next");
    ensemble.leader().flush();
    await ensemble.tick(4);
    expect([ensemble.has("/unstored"), ensemble.has("/next")]).toEqual([[], voters]);
  });
});

const timeoutMs = 10_000;

/** A leader's sessions, over a clock that the test moves. What is proposed applies when the test says so. */
class Reign {
  readonly tree = new Tree(new MemoryRows(), treeOptions);
  nowMs = 1_000_000;
  proposed: { readonly txn: Txn; readonly sessionId: SessionId }[] = [];
  sessions = this.#begin(1);

  constructor() {
    for (const id of [1n, 2n]) {
      const requester = { sessionId: makeSessionId(id), identities: [] };
      const request = { type: OpCode.CreateSession, timeoutMs } as const;
      const txn = this.tree.prepare(request, { requester, cxid: 0, nowMs: this.nowMs });
      this.tree.apply(makeZxid(1, Number(id)), txn);
      this.sessions.applied(txn);
    }
  }

  /** Ticks of a tenth of a second, each with a sign of life of `alive`; answers whose end was proposed. */
  pass(ms: number, alive: readonly bigint[] = []): bigint[] {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 100;
      for (const id of alive) this.sessions.touch(makeSessionId(id), this.nowMs);
      this.sessions.tick();
    }
    return this.proposed.splice(0).map(({ sessionId }) => sessionId);
  }

  /** Memory was lost; this member leads again. */
  beginAgain(): void {
    this.sessions = this.#begin(2);
  }

  #begin(epoch: number): Sessions {
    return new Sessions({
      id: makeServerId(3),
      epoch,
      tree: this.tree,
      tickMs: 1_000,
      takeIdBlock: () => 0,
      lastSign: () => undefined,
      now: () => this.nowMs,
      submit: (request, requester) => {
        const txn = this.tree.prepare(request, { requester, cxid: 0, nowMs: this.nowMs });
        this.proposed.push({ txn, sessionId: requester.sessionId });
      },
    });
  }

  /** Nothing runs for so long. */
  sleep(ms: number): void {
    this.nowMs += ms;
  }
}

describe("histories: rows 46 (etcd 15247) and 60: silence that nobody listened to is no evidence", () => {
  test.each([
    ["three session timeouts frozen", 3 * timeoutMs],
    ["an hour asleep", 3_600_000],
    ["a clock set back by an hour", -3_600_000],
  ])(
    "%s: no session expires before a full timeout of observation, and then the dead ones do",
    (_name, gapMs) => {
      const reign = new Reign();
      expect(reign.pass(5_000, [1n, 2n])).toEqual([]);
      reign.sleep(gapMs);
      expect(reign.pass(timeoutMs - 200, [1n])).toEqual([]);
      expect(reign.pass(2_000, [1n])).toEqual([2n]);
      expect(reign.pass(3 * timeoutMs, [1n])).toEqual([]);
      expect(reign.pass(timeoutMs + 2_000)).toEqual([1n]);
    },
  );

  test("touches that waited count before anything expires", () => {
    const reign = new Reign();
    reign.sleep(3 * timeoutMs);
    expect(reign.sessions.touch(makeSessionId(1n), reign.nowMs)).toBe(true);
    expect(reign.pass(timeoutMs - 200)).toEqual([]);
  });

  test("a leader anew, after its memory was lost, gives every session its full timeout", () => {
    const reign = new Reign();
    reign.pass(timeoutMs - 500);
    reign.sleep(100);
    reign.beginAgain();
    expect(reign.pass(timeoutMs - 200)).toEqual([]);
    expect(reign.pass(2_000).sort()).toEqual([1n, 2n]);
  });
});
