/**
 * Simulated clients: what they ask, what they are told, and whether that can be true.
 *
 * Every attempt is an operation of its own; one whose outcome is unknown stays open for ever. Each reply
 * carries a zxid, so the order of all operations is given and only has to be checked: against the delivered
 * sequence, the reference tree at that zxid, and the real-time order of calls and returns. What is checked
 * with the zxids believed is checked a second time without them, znode by znode, by `linearize`.
 *
 * @module
 */

import {
  CreateMode,
  compareZxid,
  equalZxid,
  formatZxid,
  makeSessionId,
  maxZxid,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type ServerId,
  type SessionId,
  type Txn,
  type WriteRequest,
  ZERO_ZXID,
  ZkErrorCode,
  type Zxid,
} from "../../src/base/index.ts";
import { respond, type Tree, type TxnOutcome } from "../../src/tree/index.ts";
import { type HistoryOp, linearize, type Outcome, type RegisterOp } from "./checks/linearize.ts";
import type { ProtocolChecks } from "./checks/protocol.ts";
import { violate } from "./violation.ts";

export type OpKind =
  | "create"
  | "set"
  | "remove"
  | "ephemeral"
  | "sequential"
  /** Set and delete of what may be somebody's ephemeral. */
  | "touch"
  | "drop"
  | "multi"
  | "open"
  | "close"
  /** Other members. */
  | "reconfig"
  | "read"
  | "look";

export interface Wish {
  readonly kind: OpKind;
  /** Number of the znode. For `reconfig`: the voters, bit by id. */
  readonly path: number;
  /** Compare with the version last seen, instead of writing in any case. */
  readonly compares: boolean;
  /** For `close`: whose session. For `reconfig`: the observers, bit by id. */
  readonly victim: number;
}

export interface Op {
  /** Also the cxid, and the value written: unique in the run. */
  readonly id: number;
  readonly client: number;
  readonly kind: OpKind;
  readonly path: string;
  readonly wanted: number;
  readonly sessionId: SessionId;
  readonly request: WriteRequest;
  readonly member: ServerId;
  readonly invokedAt: number;
  /** Highest zxid among operations completed before this one began. */
  readonly before: Zxid;
  state: "open" | "done" | "unknown" | "nothing";
  returnedAt: number;
  committedAt: Zxid | undefined;
  reply: Reply | undefined;
}

export interface Reply {
  readonly zxid: Zxid;
  readonly err: number;
  /** Of the znode read or written; 0 and -1 for a missing one. */
  readonly value: number;
  readonly version: number;
}

interface Client {
  readonly id: number;
  op: Op | undefined;
  sessionId: SessionId;
  opened: number;
  /** What this client has seen: reads of its session never go below. */
  floor: Zxid;
  readonly versions: Map<string, number>;
  leader: ServerId | 0;
}

export class Clients {
  readonly clients: Client[] = [];
  readonly ops: Op[] = [];
  /** Highest zxid among completed writes and linearizable reads. */
  #completed: Zxid = ZERO_ZXID;
  readonly #checks: ProtocolChecks;
  readonly #dataBytes: number;
  done = 0;
  unknown = 0;

  constructor(checks: ProtocolChecks, count: number, dataBytes: number) {
    this.#checks = checks;
    this.#dataBytes = dataBytes;
    for (let id = 0; id < count; id++) this.add();
  }

  add(): Client {
    const client: Client = {
      id: this.clients.length,
      op: undefined,
      sessionId: NO_SESSION,
      opened: 0,
      floor: ZERO_ZXID,
      versions: new Map(),
      leader: 0,
    };
    this.clients.push(client);
    return client;
  }

  get(id: number): Client {
    const client = this.clients[id];
    if (client === undefined) throw new Error(`no client ${id}`);
    return client;
  }

  invoke(client: Client, wish: Wish, member: ServerId, now: number): Op {
    const id = this.ops.length + 1;
    const path = pathOf(wish);
    const wanted = wish.compares ? (client.versions.get(path) ?? -1) : -1;
    let { sessionId } = client;
    if (wish.kind === "open") {
      client.opened++;
      sessionId = makeSessionId(BigInt(client.id * 1_000 + client.opened));
    }
    if (wish.kind === "close") sessionId = this.get(wish.victim % this.clients.length).sessionId;
    const op: Op = {
      id,
      client: client.id,
      kind: wish.kind,
      path,
      wanted,
      sessionId,
      request:
        wish.kind === "reconfig" ? this.#reconfig(wish) : requestOf(wish.kind, path, wanted, this.#data(id)),
      member,
      invokedAt: now,
      before: this.#completed,
      state: "open",
      returnedAt: -1,
      committedAt: undefined,
      reply: undefined,
    };
    this.ops.push(op);
    client.op = op;
    return op;
  }

  /** The client learns that nothing happened. */
  refused(op: Op): void {
    this.#settle(op, "nothing");
    if (op.committedAt !== undefined) violate("13.2", `operation ${op.id} was refused and took effect`);
  }

  /** The client learns nothing, or stops waiting. */
  forgotten(op: Op): void {
    if (op.state !== "open") return;
    this.unknown++;
    this.#settle(op, op.kind === "read" || op.kind === "look" ? "nothing" : "unknown");
  }

  completed(op: Op, reply: Reply, now: number): void {
    if (op.state !== "open") return;
    this.done++;
    op.reply = reply;
    op.returnedAt = now;
    this.#settle(op, "done");
    const client = this.get(op.client);
    if (op.kind === "look") this.#checkLook(op, reply, client);
    else if (op.kind === "read") this.#checkRead(op, reply);
    else this.#checkWrite(op, reply, client);
    client.floor = maxZxid(client.floor, reply.zxid);
    if (op.kind !== "open" && op.kind !== "close") client.versions.set(op.path, reply.version);
  }

  writeReply(op: Op, zxid: Zxid, outcome: TxnOutcome): Reply {
    const { err, body } = respond(op.request, outcome);
    const failed = err !== ZkErrorCode.Ok;
    if (failed || op.kind === "remove" || op.kind === "drop") return { zxid, err, value: 0, version: -1 };
    return { zxid, err, value: op.id, version: body?.kind === "stat" ? body.stat.version : 0 };
  }

  readReply(op: Op, tree: Tree): Reply {
    const requester = { sessionId: op.sessionId, identities: [] };
    const request = { type: OpCode.GetData, path: op.path, watch: false };
    const { err, body } = tree.answer(request, { requester, watcher: undefined });
    if (body?.kind !== "data") return { zxid: tree.applied, err, value: 0, version: -1 };
    return { zxid: tree.applied, err, value: valueIn(body.data), version: body.stat.version };
  }

  /** The second checker: per znode, without believing any zxid. */
  checkLinearizable(): { readonly histories: number; readonly undecided: number } {
    const histories = new Map<string, HistoryOp[]>();
    for (const op of this.ops) {
      const registerOp = registerOpOf(op);
      if (registerOp === undefined) continue;
      const history = histories.get(op.path) ?? [];
      histories.set(op.path, history);
      const returnedAt = op.state === "done" ? op.returnedAt : undefined;
      history.push({ id: op.id, invokedAt: op.invokedAt, returnedAt, op: registerOp });
    }
    let undecided = 0;
    for (const [path, history] of histories) {
      const verdict = linearize(history, 100_000);
      if (verdict.kind === "undecided") undecided++;
      if (verdict.kind === "violated")
        violate("linearizability", `of ${path}, at operation ${verdict.stuck}`);
    }
    return { histories: histories.size, undecided };
  }

  #settle(op: Op, state: Op["state"]): void {
    op.state = state;
    const client = this.get(op.client);
    if (client.op === op) client.op = undefined;
    if (op.kind === "open" && state === "done" && op.reply?.err === 0) client.sessionId = op.sessionId;
    if (op.kind === "close" && state === "done" && client.sessionId === op.sessionId)
      client.sessionId = NO_SESSION;
  }

  #checkWrite(op: Op, reply: Reply, client: Client): void {
    const { zxid } = reply;
    if (op.committedAt === undefined || !equalZxid(op.committedAt, zxid)) {
      violate("durability", `operation ${op.id} was acknowledged at ${formatZxid(zxid)}, where it is not`);
    }
    if (compareZxid(zxid, op.before) <= 0) {
      violate("13.2", `operation ${op.id} has ${formatZxid(zxid)}, not above ${formatZxid(op.before)}`);
    }
    if (compareZxid(zxid, client.floor) <= 0) violate("E7", `operation ${op.id} is not above its elders`);
    this.#completed = maxZxid(this.#completed, zxid);
    const znode = this.#checks.reference.at(op.path, zxid);
    if (reply.err === 0 && (op.kind === "create" || op.kind === "set")) {
      if (znode?.version !== reply.version) violate("13.2", `operation ${op.id} was told a wrong version`);
    }
  }

  #checkRead(op: Op, reply: Reply): void {
    if (compareZxid(reply.zxid, op.before) < 0) {
      violate("13.2", `read ${op.id} saw ${formatZxid(reply.zxid)}, below ${formatZxid(op.before)}`);
    }
    this.#completed = maxZxid(this.#completed, reply.zxid);
    this.#checkValue(op, reply);
  }

  #checkLook(op: Op, reply: Reply, client: Client): void {
    if (compareZxid(reply.zxid, client.floor) < 0) violate("13.2", `client ${client.id} went back in time`);
    this.#checkValue(op, reply);
  }

  #checkValue(op: Op, reply: Reply): void {
    if (this.#checks.positionOf(reply.zxid) === undefined) {
      violate("13.2", `read ${op.id} saw ${formatZxid(reply.zxid)}, which was never delivered`);
    }
    const znode = this.#checks.reference.at(op.path, reply.zxid);
    const value = znode === undefined ? 0 : valueIn(znode.data);
    if (value !== reply.value || (znode?.version ?? -1) !== reply.version) {
      violate("13.2", `read ${op.id} saw another ${op.path} than stood at ${formatZxid(reply.zxid)}`);
    }
  }

  /** A txn has joined the delivered sequence. */
  committed(zxid: Zxid, txn: Txn): void {
    const op = this.ops[txn.cxid - 1];
    if (op === undefined || op.sessionId !== txn.sessionId)
      violate("13.2", `${formatZxid(zxid)} was asked by nobody`);
    if (op.committedAt !== undefined) violate("13.2", `operation ${op.id} took effect twice`);
    if (op.state === "nothing") violate("13.2", `operation ${op.id} was refused and takes effect`);
    op.committedAt = zxid;
    if (
      txn.op.kind === "reconfig" &&
      (op.request.type !== OpCode.Reconfig || txn.op.servers !== op.request.newMembers)
    )
      violate("13.2", `operation ${op.id} makes others members than it asked for`);
  }

  /** The members by number; `compares`: with the configuration that governs now. */
  #reconfig({ path, victim, compares }: Wish): WriteRequest {
    const { version } = this.#checks.memberships.governing;
    return {
      type: OpCode.Reconfig,
      joiningServers: null,
      leavingServers: null,
      newMembers: serversOf(path, victim),
      curConfigId: compares ? (BigInt(version.epoch) << 32n) | BigInt(version.counter) : -1n,
    };
  }

  #data(id: number): Uint8Array {
    const data = new Uint8Array(this.#dataBytes);
    new DataView(data.buffer).setUint32(0, id);
    return data;
  }
}

function valueIn(data: Uint8Array | null): number {
  if (data === null || data.length < 4) return 0;
  return new DataView(data.buffer, data.byteOffset, data.length).getUint32(0);
}

/** Members as the text of `/zookeeper/config` has them: bit by id. */
function serversOf(voters: number, observers: number): string {
  let text = "";
  for (let id = 1; 1 << id <= (voters | observers); id++) {
    const bit = 1 << id;
    if (((voters | observers) & bit) === 0) continue;
    text += `server.${id}=member-${id}:2888:3888:${(voters & bit) !== 0 ? "participant" : "observer"}\n`;
  }
  return text;
}

function pathOf({ kind, path }: Wish): string {
  if (kind === "reconfig") return "/zookeeper/config";
  if (kind === "ephemeral" || kind === "touch" || kind === "drop") return `/e${path}`;
  if (kind === "sequential") return "/s-";
  if (kind === "multi") return "/m0";
  return `/r${path}`;
}

function requestOf(kind: OpKind, path: string, version: number, data: Uint8Array): WriteRequest {
  const create = { data, acl: OPEN_ACL, ttlMs: -1 };
  switch (kind) {
    case "create":
      return { type: OpCode.Create, path, flags: CreateMode.Persistent, ...create };
    case "ephemeral":
      return { type: OpCode.Create, path, flags: CreateMode.Ephemeral, ...create };
    case "sequential":
      return { type: OpCode.Create2, path, flags: CreateMode.PersistentSequential, ...create };
    case "set":
    case "touch":
      return { type: OpCode.SetData, path, data, version };
    case "remove":
    case "drop":
      return { type: OpCode.Delete, path, version };
    case "open":
      return { type: OpCode.CreateSession, timeoutMs: 10_000 };
    case "close":
      return { type: OpCode.CloseSession };
    default:
      return {
        type: OpCode.Multi,
        ops: [
          { type: OpCode.Create, path: "/m0", flags: CreateMode.Persistent, ...create },
          { type: OpCode.SetData, path: "/m0", data, version: -1 },
          { type: OpCode.Delete, path: "/m0", version: 1 },
          // Fails as often as the znode is missing: then nothing of the multi may stay.
          { type: OpCode.Check, path: "/r0", version: -1 },
        ],
      };
  }
}

/** What the black box sees of an operation; `undefined` for what it cannot judge. */
function registerOpOf(op: Op): RegisterOp | undefined {
  if (op.state === "nothing" || op.state === "open" || op.reply?.err === ZkErrorCode.SessionExpired) {
    // Open at the end of the run: a read says nothing, a write may have happened.
    if (op.state !== "open" || op.kind === "read") return undefined;
  }
  const outcome: Outcome | undefined =
    op.reply === undefined
      ? undefined
      : op.reply.err === 0
        ? { kind: "done", version: op.reply.version }
        : { kind: "refused" };
  switch (op.kind) {
    case "create":
      return { kind: "create", value: op.id, outcome };
    case "set":
      return { kind: "set", value: op.id, wanted: op.wanted, outcome };
    case "remove":
      return { kind: "remove", wanted: op.wanted, outcome };
    case "read":
      return op.reply === undefined
        ? undefined
        : { kind: "read", value: op.reply.value, version: op.reply.version };
    default:
      return undefined;
  }
}
