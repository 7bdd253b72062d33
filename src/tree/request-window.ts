/**
 * The request window: what keyed requests came to, so that asking again changes nothing and is told the same.
 *
 * A record is a znode below `/zookeeper/requests`, named by the key. It is written by the txn that decides the
 * request, refused or not, so the two are there together or not at all: on every member, under every later
 * leader, after a snapshot. Nobody else writes there; the super user alone may read or delete it. It sets off no
 * watches, and goes when the window has passed, as any TTL znode does.
 *
 * A key that is known is not decided again: the txn changes nothing, and the door looks at the record.
 *
 * Its data: the fingerprint of the request (64 hex digits), and what it came to as JSON.
 *
 * @module
 */

import {
  type Acl,
  formatSessionId,
  type KeyedRequest,
  keyedPartsMax,
  keyedPathUnitsMax,
  NO_SESSION,
  OpCode,
  parseSessionId,
  requestWindowMax,
  requestWindowMs,
  type Stat,
  unreachable,
  ZkErrorCode,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import type { Application, OpResult } from "./apply.ts";
import type { TxnOutcome } from "./respond.ts";
import type { SpeculativeView, ZnodeOutline } from "./speculative-view.ts";
import { statOf } from "./znodes.ts";

/** Reserved: clients neither create nor change it, nor anything below. */
export const requestsPath = "/zookeeper/requests";

const parentPath = "/zookeeper";

export function isOfRequestWindow(path: string): boolean {
  return path === requestsPath || path.startsWith(`${requestsPath}/`);
}

function recordPathOf(key: string): string {
  return `${requestsPath}/${key}`;
}

/** Grants nothing to anybody; the super user needs no grant. */
const sealed: readonly Acl[] = [{ scheme: "world", id: "anyone", perms: 0 }];

/** What a key is known for. */
export type Recalled =
  | { readonly kind: "nothing" }
  /** It was used for another request. */
  | { readonly kind: "other" }
  /** `zxid`: of the txn that decided the request. */
  | { readonly kind: "same"; readonly zxid: Zxid; readonly outcome: TxnOutcome };

/** @param znode - Finds applied znodes. */
export function recall(
  znode: (path: string) => Znode | undefined,
  { key, fingerprint }: Pick<KeyedRequest, "key" | "fingerprint">,
): Recalled {
  const record = znode(recordPathOf(key));
  if (record === undefined) return { kind: "nothing" };
  const known = readRecord(record);
  if (known.fingerprint !== fingerprint) return { kind: "other" };
  return { kind: "same", zxid: record.mzxid, outcome: decodeOutcome(known.outcome) };
}

/** Why a keyed request is not to be decided now; `undefined` when it is. */
export function refusalOfKey(
  view: SpeculativeView,
  { key, request }: KeyedRequest,
  nowMs: number,
): ZkErrorCode | undefined {
  const record = view.znode(recordPathOf(key));
  if (record !== undefined && isRemembered(record, nowMs)) return ZkErrorCode.NodeExists;
  if (!fitsRecord(request)) return ZkErrorCode.BadArguments;
  const requests = view.znode(requestsPath);
  const count = requests?.numChildren ?? 0;
  if (record === undefined && count >= requestWindowMax) return ZkErrorCode.ThrottledOp;
  // Who had an ephemeral of that name before it was reserved.
  return requests?.lifetime.kind === "ephemeral" ? ZkErrorCode.NoChildrenForEphemerals : undefined;
}

function isRemembered(record: ZnodeOutline, nowMs: number): boolean {
  return nowMs - record.mtime <= requestWindowMs;
}

function fitsRecord(request: KeyedRequest["request"]): boolean {
  const parts = request.type === OpCode.Multi ? request.ops : [request];
  const units = parts.reduce((sum, { path }) => sum + path.length, 0);
  return parts.length <= keyedPartsMax && units <= keyedPathUnitsMax;
}

/** Leaves the record in the view, for those that are decided before it applies. */
export function stageRecord(
  view: SpeculativeView,
  { key, fingerprint }: Pick<KeyedRequest, "key" | "fingerprint">,
  nowMs: number,
): void {
  const path = recordPathOf(key);
  const before = view.znode(path);
  const data = textEncoder.encode(fingerprint);
  if (before !== undefined) return view.put(path, { ...before, data, mtime: nowMs });
  const counters = { version: 0, aversion: 0, creates: 0, numChildren: 0 };
  const outline = { acl: sealed, mtime: nowMs, czxid: undefined, ...counters };
  const requests = view.znode(requestsPath);
  const parent = view.znode(parentPath);
  if (requests === undefined && parent !== undefined) {
    view.put(parentPath, { ...parent, creates: parent.creates + 1, numChildren: parent.numChildren + 1 });
  }
  const above = requests ?? { ...outline, data: null, lifetime: { kind: "persistent" } };
  view.put(requestsPath, { ...above, creates: above.creates + 1, numChildren: above.numChildren + 1 });
  view.put(path, { ...outline, data, lifetime: { kind: "ttl", ttlMs: requestWindowMs } });
}

/** A keyed txn has applied: remembers what it came to. Sets off no watches. */
export function applyRecord(
  { znodes, zxid, timeMs }: Application,
  { key, fingerprint }: Pick<KeyedRequest, "key" | "fingerprint">,
  outcome: TxnOutcome,
): void {
  const path = recordPathOf(key);
  const data = textEncoder.encode(fingerprint + JSON.stringify(encodeOutcome(outcome)));
  const before = znodes.get(path);
  if (before !== undefined) return znodes.replace(path, { ...before, data, mzxid: zxid, mtime: timeMs });
  const times = { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: timeMs, mtime: timeMs };
  const counters = { version: 0, aversion: 0, creates: 0, numChildren: 0 };
  const fresh = { acl: sealed, ...times, ...counters };
  if (znodes.get(requestsPath) === undefined) {
    znodes.create(requestsPath, { ...fresh, data: null, lifetime: { kind: "persistent" } });
    countChild(znodes, parentPath, zxid);
  }
  znodes.create(path, { ...fresh, data, lifetime: { kind: "ttl", ttlMs: requestWindowMs } });
  countChild(znodes, requestsPath, zxid);
}

function countChild(znodes: Application["znodes"], path: string, zxid: Zxid): void {
  const znode = znodes.get(path);
  if (znode === undefined) return;
  const { creates, numChildren } = znode;
  znodes.replace(path, { ...znode, creates: creates + 1, numChildren: numChildren + 1, pzxid: zxid });
}

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

/** In hex digits. */
const fingerprintLength = 64;

/** `outcome` is empty while the txn has not applied. */
function readRecord({ data }: Pick<Znode, "data">): {
  readonly fingerprint: string;
  readonly outcome: string;
} {
  const text = textDecoder.decode(data ?? undefined);
  return { fingerprint: text.slice(0, fingerprintLength), outcome: text.slice(fingerprintLength) };
}

/** JSON has no 64-bit numbers. */
type StoredStat = Omit<Stat, "ephemeralOwner"> & { readonly ephemeralOwner: string };

/** Refused as a whole, refused part by part, or done. A delete leaves no stat. */
type Stored =
  | { readonly refused: ZkErrorCode }
  | { readonly parts: readonly ZkErrorCode[] }
  | { readonly done: readonly { readonly path: string; readonly stat?: StoredStat }[] };

function encodeOutcome(outcome: TxnOutcome): Stored {
  switch (outcome.kind) {
    case "refused":
      return { refused: outcome.code };
    case "multiRefused":
      return { parts: outcome.codes };
    case "done":
      return { done: outcome.results.map(({ path, znode }) => ({ path, ...(znode && encodeStat(znode)) })) };
    default:
      return unreachable(outcome);
  }
}

function encodeStat(znode: Znode): { readonly stat: StoredStat } {
  const stat = statOf(znode);
  return { stat: { ...stat, ephemeralOwner: formatSessionId(stat.ephemeralOwner) } };
}

/** Only `applyRecord` writes records, so what stands in one is what it wrote. */
function decodeOutcome(text: string): TxnOutcome {
  const stored = JSON.parse(text) as Stored;
  if ("refused" in stored) return { kind: "refused", code: stored.refused };
  if ("parts" in stored) return { kind: "multiRefused", codes: stored.parts };
  return { kind: "done", results: stored.done.map(decodeResult) };
}

function decodeResult({ path, stat }: { readonly path: string; readonly stat?: StoredStat }): OpResult {
  if (stat === undefined) return { path, znode: undefined };
  const ephemeralOwner = parseSessionId(stat.ephemeralOwner) ?? NO_SESSION;
  return { path, znode: undefined, stat: { ...stat, ephemeralOwner } };
}
