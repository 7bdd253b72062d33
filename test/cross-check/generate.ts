/**
 * Random scripts: one per seed and number.
 *
 * Decides nothing by what servers answer, so that both get the same and every part of a script can be left
 * out. Keeps to what is determined: whatever ends a connection stands alone, since what was on its way
 * then may or may not arrive.
 *
 * @module
 */

import {
  isWriteType,
  type MultiOp,
  OPEN_ACL,
  OpCode,
  type WatchableReadRequest,
} from "../../src/base/index.ts";
import { encodeRequest, JuteWriter } from "../../src/jute/index.ts";
import { Draw } from "./draw.ts";
import {
  drawAcl,
  drawCredentials,
  drawData,
  drawLimits,
  drawPath,
  drawSequentialPath,
  drawVersion,
  drawWritablePath,
  noUsage,
  quotaRoots,
  reconfigs,
} from "./pools.ts";
import { clientCount, type ScriptRequest, type Step } from "./script.ts";

const burstMax = 8;
/** One script in this many waits for sessions to expire, which takes seconds each. */
const expiryEvery = 60;

/** One script in so many per thousand begins with quotas. */
const quotaScripts = 200;

export interface ScriptOptions {
  /** About how many. */
  readonly requests: number;
  /** Whether the servers have several members: then some requests are to change them. */
  readonly isEnsemble: boolean;
}

export function generateScript(
  seed: number,
  number: number,
  { requests, isEnsemble }: ScriptOptions,
): Step[] {
  const draw = new Draw(seed, number);
  const steps: Step[] = [];
  for (let client = 0; client < clientCount; client++) steps.push(freshConnect(client, 30_000));
  // Most scripts begin with something to find, some with nothing.
  if (draw.occurs(800)) steps.push({ kind: "requests", client: 0, requests: firstZnodes });
  if (draw.occurs(quotaScripts)) steps.push({ kind: "requests", client: 0, requests: drawQuotas(draw) });
  if (number % expiryEvery === expiryEvery - 1) return generateExpiry(draw, steps);
  const clients = Array.from(
    { length: clientCount },
    (_, index): Client => ({ isOpen: true, session: index }),
  );
  for (let sent = 0; sent < requests; ) {
    const step =
      isEnsemble && draw.occurs(15)
        ? drawReconfig(draw, draw.below(clientCount))
        : drawStep(draw, clients, isEnsemble);
    steps.push(step);
    sent += step.kind === "requests" ? step.requests.length : 1;
  }
  return [...steps, ...farewell()];
}

const firstZnodes = ["/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/a/a/a"].map(
  (path) => ({ type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 }) as const,
);

/** What is still on its way to anybody. */
function farewell(): Step[] {
  return Array.from({ length: clientCount }, (_, client): Step => ({ kind: "ping", client }));
}

function generateExpiry(draw: Draw, steps: Step[]): Step[] {
  const owner = draw.below(clientCount);
  steps.push(freshConnect(owner, draw.oneOf([0, 4_000, 5_000])));
  for (let count = 0; count < 20; count++) {
    const client = draw.oneOf([owner, owner, draw.below(clientCount)]);
    steps.push({ kind: "requests", client, requests: [drawRequest(draw)] });
  }
  steps.push({ kind: "expire", client: owner }, ...farewell());
  steps.push({ ...freshConnect(owner, 4_000), sessionOf: owner });
  for (let count = 0; count < 20; count++) {
    const requests = [drawRequest(draw)];
    steps.push({ kind: "requests", client: draw.below(clientCount), requests });
  }
  return [...steps, ...farewell()];
}

function freshConnect(client: number, timeoutMs: number): Extract<Step, { kind: "connect" }> {
  return {
    kind: "connect",
    client,
    sessionOf: undefined,
    timeoutMs,
    password: "right",
    zxidOffset: undefined,
    readOnly: false,
  };
}

/** What is likely: a server may have refused. */
interface Client {
  isOpen: boolean;
  /** Equal for those who share a session, and hardly ever for others. */
  session: number;
}

function drawStep(draw: Draw, clients: readonly Client[], isEnsemble: boolean): Step {
  const client = draw.below(clientCount);
  const state = clients[client] ?? { isOpen: false, session: client };
  if (!state.isOpen && draw.occurs(800)) return drawConnect(draw, client, clients);
  const kind = draw.weighted({
    requests: 930,
    connect: 15,
    cut: 8,
    frame: 25,
    bytes: 2,
    ping: 10,
    goodbye: 10,
  });
  switch (kind) {
    case "requests":
      return { kind, client, requests: drawBurst(draw) };
    case "connect":
      return drawConnect(draw, client, clients);
    case "cut":
      state.isOpen = false;
      return { kind, client };
    case "ping":
      return { kind, client };
    case "frame":
      return { kind, client, bytes: isEnsemble ? drawReadFrame(draw) : drawFrame(draw) };
    case "bytes":
      state.isOpen = false;
      return drawBytes(draw, client);
    case "goodbye":
      state.isOpen = false;
      return { kind: "requests", client, requests: [drawEnding(draw)] };
  }
}

function drawConnect(draw: Draw, client: number, clients: readonly Client[]): Step {
  const sessionOf = draw.occurs(500)
    ? draw.oneOf([client, client, client, draw.below(clientCount)])
    : undefined;
  const [mine, owner] = [clients[client], clients[sessionOf ?? client]];
  // ZooKeeper ends the connection that has a session before it looks at the password.
  const isShared = clients.some(
    (other) => other !== mine && other.isOpen && other.session === owner?.session,
  );
  const password = isShared ? "right" : draw.weighted({ right: 90, wrong: 5, none: 5 });
  if (mine !== undefined && owner !== undefined) {
    mine.isOpen = true;
    mine.session = sessionOf === undefined ? 1000 + draw.below(1_000_000_000) : owner.session;
  }
  return {
    kind: "connect",
    client,
    sessionOf,
    // Long enough not to expire within a script, below and above what is allowed included.
    timeoutMs: draw.oneOf([30_000, 30_000, 20_000, 40_000, 40_001, 2_147_483_647]),
    password,
    zxidOffset: draw.oneOf([undefined, 0, 0, -1, -5, 1000]),
    readOnly: draw.oneOf([false, true, undefined]),
  };
}

function drawBurst(draw: Draw): ScriptRequest[] {
  const length = draw.occurs(600) ? 1 : 1 + draw.below(burstMax);
  const first = drawRequest(draw);
  if (isAlone(first)) return [first];
  const rest = Array.from({ length: length - 1 }, () => drawRequest(draw));
  return [first, ...rest.filter((request) => !isAlone(request))];
}

/** ZooKeeper answers these out of turn, and may end the connection over them. */
function isAlone(request: ScriptRequest): boolean {
  return request.type === OpCode.Auth || request.type === OpCode.Sasl;
}

function drawEnding(draw: Draw): ScriptRequest {
  return draw.occurs(800) ? { type: OpCode.CloseSession } : { type: OpCode.Auth, ...drawCredentials(draw) };
}

function drawRequest(draw: Draw): ScriptRequest {
  const kind = draw.weighted({
    create: 300,
    delete: 110,
    setData: 90,
    setAcl: 30,
    multi: 60,
    read: 200,
    watchRead: 100,
    lookup: 40,
    multiRead: 20,
    addWatch: 25,
    watches: 25,
    setWatches: 10,
    sync: 10,
    quota: 15,
    whoAmI: 5,
    auth: 8,
    sasl: 1,
  });
  switch (kind) {
    case "create":
      return drawCreate(draw);
    case "delete":
      return { type: OpCode.Delete, path: drawPath(draw), version: drawVersion(draw) };
    case "setData":
      return drawSetData(draw);
    case "setAcl":
      return { type: OpCode.SetAcl, path: drawPath(draw), acl: drawAcl(draw), version: drawVersion(draw) };
    case "multi":
      return { type: OpCode.Multi, ops: Array.from({ length: draw.below(6) }, () => readable(drawOp(draw))) };
    case "read":
    case "watchRead":
      return drawRead(draw, kind === "watchRead");
    case "lookup":
      return {
        type: draw.oneOf([OpCode.GetAcl, OpCode.GetEphemerals, OpCode.GetAllChildrenNumber]),
        path: drawPath(draw),
      };
    case "multiRead":
      return { type: OpCode.MultiRead, ops: Array.from({ length: draw.below(5) }, () => drawReadOp(draw)) };
    case "addWatch":
      return { type: OpCode.AddWatch, path: drawPath(draw), mode: draw.oneOf([0, 0, 0, 1, 1, 1, 2, -1]) };
    case "watches":
      return {
        type: draw.oneOf([OpCode.CheckWatches, OpCode.RemoveWatches]),
        path: drawPath(draw),
        watcherType: draw.oneOf([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 6]),
      };
    case "setWatches":
      return drawSetWatches(draw);
    case "sync":
      return { type: OpCode.Sync, path: drawPath(draw) };
    case "quota":
      return drawQuotaRequest(draw);
    case "whoAmI":
      return { type: OpCode.WhoAmI };
    case "auth":
      return { type: OpCode.Auth, ...drawCredentials(draw) };
    case "sasl":
      return { type: OpCode.Sasl, token: drawData(draw) ?? new Uint8Array(0) };
  }
}

const createTypes = [
  ...[OpCode.Create, OpCode.Create, OpCode.Create, OpCode.Create2],
  ...[OpCode.Create2, OpCode.CreateContainer, OpCode.CreateTtl],
];

/** By operation: what clients send, and what they might. */
const createFlags: Readonly<
  Record<MultiCreate["type"], { usual: readonly number[]; odd: readonly number[] }>
> = {
  [OpCode.Create]: { usual: [0, 0, 0, 1, 1, 2, 3], odd: [4, 5, 6, 7, -1, 100] },
  [OpCode.Create2]: { usual: [0, 0, 0, 1, 1, 2, 3], odd: [4, 5, 6, 7, -1, 100] },
  [OpCode.CreateContainer]: { usual: [4], odd: [0, 1, 2, 3, 5, 6, 7, -1, 100] },
  // A mode without a TTL, together with a TTL of -1, is a txn that a ZooKeeper 3.9 server dies of.
  [OpCode.CreateTtl]: { usual: [5, 6], odd: [7, -1, 100] },
};

type MultiCreate = Extract<MultiOp, { flags: number }>;

function drawCreate(draw: Draw): MultiCreate {
  const type = draw.oneOf(createTypes);
  const flags = draw.oneOf(draw.occurs(930) ? createFlags[type].usual : createFlags[type].odd);
  const isSequential = flags === 2 || flags === 3 || flags === 6;
  // Short times to live would end when a server likes.
  const ttlMs = draw.occurs(900) ? 1_000_000_000 : draw.oneOf([0, 2 ** 40 - 1, 2 ** 40]);
  return {
    type,
    path: isSequential ? drawSequentialPath(draw) : drawPath(draw),
    data: drawData(draw),
    acl: drawAcl(draw),
    flags,
    ttlMs: type === OpCode.CreateTtl ? ttlMs : -1,
  };
}

function createOf(path: string, data: Uint8Array | null): MultiCreate {
  return { type: OpCode.Create, path, data, acl: OPEN_ACL, flags: 0, ttlMs: -1 };
}

/** As `setquota` does it. */
function drawQuotas(draw: Draw): ScriptRequest[] {
  return quotaRoots.flatMap((root) => [
    createOf(root, null),
    createOf(`${root}/zookeeper_limits`, drawLimits(draw)),
    createOf(`${root}/zookeeper_stats`, noUsage),
  ]);
}

function drawQuotaRequest(draw: Draw): ScriptRequest {
  const root = draw.oneOf(quotaRoots);
  const [limits, stats] = [`${root}/zookeeper_limits`, `${root}/zookeeper_stats`];
  switch (draw.weighted({ read: 70, change: 15, end: 5, begin: 10 })) {
    case "read":
      return { type: OpCode.GetData, path: draw.oneOf([stats, stats, limits]), watch: draw.occurs(200) };
    case "change":
      return { type: OpCode.SetData, path: limits, data: drawLimits(draw), version: -1 };
    case "end":
      return { type: OpCode.Delete, path: draw.oneOf([limits, stats]), version: -1 };
    case "begin":
      return draw.occurs(500) ? createOf(limits, drawLimits(draw)) : createOf(stats, noUsage);
  }
}

/** Refused without the super user's proof, which a client may have given before; alone, for it changes the zxid. */
function drawReconfig(draw: Draw, client: number): Step {
  return { kind: "requests", client, requests: [{ type: OpCode.Reconfig, ...draw.oneOf(reconfigs) }] };
}

function drawSetData(draw: Draw): Extract<MultiOp, { type: typeof OpCode.SetData }> {
  return {
    type: OpCode.SetData,
    path: drawWritablePath(draw),
    data: drawData(draw),
    version: drawVersion(draw),
  };
}

/** As a part of a multi it would make the whole of it unreadable; those come alone, as frames. */
function readable(op: MultiOp): MultiOp {
  if (!("flags" in op) || op.type === OpCode.CreateTtl) return op;
  return { ...op, acl: op.acl ?? OPEN_ACL, flags: op.flags >= 0 && op.flags <= 4 ? op.flags : 0 };
}

function drawOp(draw: Draw): MultiOp {
  const kind = draw.weighted({ create: 40, delete: 20, setData: 20, check: 20 });
  if (kind === "create") return drawCreate(draw);
  if (kind === "setData") return drawSetData(draw);
  const type = kind === "delete" ? OpCode.Delete : OpCode.Check;
  return { type, path: drawPath(draw), version: drawVersion(draw) };
}

function drawRead(draw: Draw, watch: boolean): WatchableReadRequest {
  const type = draw.oneOf([OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2]);
  return { type, path: drawPath(draw), watch };
}

function drawReadOp(draw: Draw): WatchableReadRequest {
  // One in twelve is none of the two that a multiRead may hold.
  const type = draw.occurs(80) ? OpCode.Exists : draw.oneOf([OpCode.GetData, OpCode.GetChildren]);
  return { type, path: drawPath(draw), watch: draw.occurs(200) };
}

function drawSetWatches(draw: Draw): ScriptRequest {
  const paths = () => Array.from({ length: draw.below(4) }, () => drawPath(draw));
  const type = draw.oneOf([OpCode.SetWatches, OpCode.SetWatches2]);
  return {
    type,
    relativeZxid: BigInt(draw.oneOf([0, 0, 1, 2, 5, 20, 100])),
    data: paths(),
    exist: paths(),
    child: paths(),
    persistent: type === OpCode.SetWatches2 ? paths() : [],
    persistentRecursive: type === OpCode.SetWatches2 ? paths() : [],
  };
}

const unknownTypes = [0, 10, 13, 16, 23, 99, 108, 1000, -1, -2, -12, -100, 2_147_483_647];

/** A request with something wrong: another type, an end too early or too late, a null or a lie inside. */
function drawFrame(draw: Draw): Uint8Array {
  const writer = new JuteWriter();
  const kind = draw.weighted({ type: 15, short: 35, long: 15, overwritten: 35, multi: 15 });
  const drawn = drawRequest(draw);
  const request = isAlone(drawn) ? { type: OpCode.WhoAmI } : drawn;
  const ops = Array.from({ length: 1 + draw.below(4) }, () => drawOp(draw));
  encodeRequest(
    writer,
    1_000_000 + draw.below(1000),
    kind === "multi" ? { type: OpCode.Multi, ops } : request,
  );
  const frame = Buffer.from(writer.take().subarray(4));
  const at = 8 + draw.below(Math.max(1, frame.length - 8));
  switch (kind) {
    case "type":
      frame.writeInt32BE(draw.oneOf(unknownTypes), 4);
      return frame;
    case "short":
      return frame.subarray(0, at);
    case "multi":
      return frame;
    case "long":
      return Buffer.concat([frame, Buffer.from("and more")]);
    case "overwritten":
      if (at + 4 <= frame.length) frame.writeInt32BE(draw.oneOf([-1, -1, -2, 0, 1, 2_147_483_647]), at);
      return frame;
  }
}

/**
 * Of writes a ZooKeeper ensemble takes none that it cannot read: its leader proposes the refusal under the zxid of
 * the txn before, and whoever waits behind it waits for ever.
 */
function drawReadFrame(draw: Draw): Uint8Array {
  for (;;) {
    const frame = drawFrame(draw);
    const type = Buffer.from(frame).readInt32BE(4);
    if (!isWriteType(type) && type !== OpCode.Check) return frame;
  }
}

const connectFrame = Buffer.from(`0000002d${"00".repeat(20)}00000000${"00".repeat(21)}`, "hex");

function drawBytes(draw: Draw, client: number): Step {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(draw.oneOf([-1, -2_147_483_648, 1_048_576, 2_147_483_647, 0]));
  const isFirst = draw.occurs(500);
  // A connect request that ends too early.
  const short = Buffer.concat([Buffer.from([0, 0, 0, 20]), connectFrame.subarray(4, 24)]);
  return { kind: "bytes", client, isFirst, bytes: isFirst && draw.occurs(300) ? short : prefix };
}
