/**
 * Differences that are meant: each with a reason that `docs/compatibility.md` prints.
 *
 * An entry is as narrow as it can be said; what it does not cover is a failure of the run.
 *
 * @module
 */

import { OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { configPath } from "./admin.ts";
import { render, type Step } from "./script.ts";

export interface Explanation {
  /** What differs, for people. */
  readonly title: string;
  readonly reason: string;
  /** What follows may differ too: the script is over. */
  readonly endsScript?: boolean | undefined;
}

interface Covering extends Explanation {
  /** Whether this is it: a step, and what the two said at it. */
  covers(step: Step, ours: readonly string[], theirs: readonly string[]): boolean;
}

/** A txn that one of the two makes at a step of this kind and the other does not. */
interface ExtraTxn extends Explanation {
  readonly kind: Step["kind"];
  /** 0 for edgekeeper, 1 for ZooKeeper. */
  readonly side: 0 | 1;
}

/** What a reader of UTF-8 makes of ZooKeeper's two halves of a character beyond U+FFFF. */
const unreadableHalves = "\ufffd".repeat(6);

const unreadableTaken: Explanation = {
  title: "A write that cannot be read, or a reconfig that is switched off, takes no zxid",
  reason:
    "ZooKeeper takes one for a multi or a null path, and none for a request that is cut short. " +
    "The answer, MarshallingError or ReconfigDisabled in its turn, is the same.",
};

const coverings: readonly Covering[] = [
  {
    title: "A path with a character beyond U+FFFF is echoed as UTF-8",
    reason:
      "ZooKeeper writes such a character as two halves of three bytes each, which is no UTF-8 and which its own " +
      "clients cannot read. No znode can have such a name; only sync and setWatches echo what they were given.",
    covers: (_, ours, theirs) =>
      isAlike(ours, theirs, (line) => line.replaceAll(/[\u{10000}-\u{10ffff}]/gu, unreadableHalves)),
  },
  {
    ...unreadableTaken,
    covers: (step, ours, theirs) =>
      step.kind === "frame" &&
      theirs.some((line) => / err=-(?:5|123)$/.test(line)) &&
      isAlike(ours, theirs, (line) =>
        line.replace(/^(xid=\S+ zxid=\+)(\d+)/, (_, head, count) => `${head}${Number(count) + 1}`),
      ),
  },
  {
    title: "setACL governs what is pipelined behind it",
    reason: "ZooKeeper judges requests that arrive before the change has applied by the old ACL.",
    endsScript: true,
    covers: (step, ours, theirs) =>
      step.kind === "requests" &&
      step.requests.slice(0, -1).some(({ type }) => type === OpCode.SetAcl) &&
      isAboutPermission(ours, theirs),
  },
  {
    title: "The configuration names members in our way, and there is one for a single member",
    reason:
      "A ZooKeeper that runs standalone has none. Members have no address here, and the first configuration is of no " +
      "txn, where ZooKeeper's is of the first leader's and has version -1.",
    covers: (step, ours, theirs) =>
      (isAboutConfig(step) || isReconfig(step)) &&
      ours.length === theirs.length &&
      ours.every((line, index) => withoutConfig(line) === withoutConfig(theirs[index] ?? "")),
  },
  {
    title: "Hard limits of quotas count what is pipelined, and the parts of a multi",
    reason: "In ZooKeeper a burst, or one multi, goes past them; or is refused for what it has just deleted.",
    endsScript: true,
    covers: (step, ours, theirs) =>
      step.kind === "requests" &&
      (step.requests.length > 1 || step.requests.some(({ type }) => type === OpCode.Multi)) &&
      isAboutQuota(ours, theirs),
  },
  {
    title: "A ping with nothing else under way is answered with the last zxid that its client has seen",
    reason:
      "The gateway answers it, and wakes no member for it. In ZooKeeper it is the last zxid of the server.",
    covers: (_, ours, theirs) =>
      isAlike(ours.map(withoutPingZxid), theirs.map(withoutPingZxid), (line) => line),
  },
  {
    title: "sync refuses a null path, as everything else does",
    reason: "ZooKeeper echoes the null, which several clients cannot read.",
    covers: (step, ours, theirs) =>
      step.kind === "frame" &&
      Buffer.from(step.bytes).readInt32BE(4) === OpCode.Sync &&
      isAlike(ours, theirs, (line) => line.replace(/ err=-5$/, " err=0 null")),
  },
  {
    title: "getAllChildrenNumber of the empty path is that of the root",
    reason: 'ZooKeeper counts the root itself as one more, which it does not for "/".',
    covers: (step, ours, theirs) =>
      asksNumberOfNothing(step) &&
      isAlike(ours, theirs, (line) =>
        / err=0 \d+$/.test(line) ? line.replace(/\d+$/, (count) => String(Number(count) + 1)) : line,
      ),
  },
  {
    title: "getAllChildrenNumber does not count below znodes that the caller may not list",
    reason: "In ZooKeeper the number tells of what may not be read (decision 0008).",
    covers: (step, ours, theirs) =>
      step.kind === "requests" &&
      step.requests.some(({ type }) => type === OpCode.GetAllChildrenNumber) &&
      ours.length === theirs.length &&
      ours.every((line, index) => line === theirs[index] || countsLess(line, theirs[index] ?? "")),
  },
  {
    title: "setWatches replays nothing about znodes that the caller may not read",
    reason: "In ZooKeeper the replay tells when they last changed (decision 0008). Such a watch stays.",
    endsScript: true,
    covers: (step, ours, theirs) =>
      step.kind === "requests" &&
      step.requests.some(({ type }) => type === OpCode.SetWatches || type === OpCode.SetWatches2) &&
      isWithoutReplays(ours, theirs),
  },
];

export const extraTxns: readonly ExtraTxn[] = [
  { ...unreadableTaken, kind: "frame", side: 1 },
  {
    title: "Taking a session up again is a txn",
    reason:
      "Its timeout and its owner survive the next leader. In ZooKeeper only the leader's memory knows them.",
    kind: "connect",
    side: 0,
  },
];

/** All of them, each title once. */
export const explanations: readonly Explanation[] = [
  ...new Map([...coverings, ...extraTxns].map((explanation) => [explanation.title, explanation])).values(),
];

export function explain(
  step: Step,
  ours: readonly string[],
  theirs: readonly string[],
): Explanation | undefined {
  return coverings.find((covering) => covering.covers(step, ours, theirs));
}

/** Equal line by line, once ours are written as theirs would be. */
function isAlike(
  ours: readonly string[],
  theirs: readonly string[],
  asTheirs: (line: string) => string,
): boolean {
  return ours.length === theirs.length && ours.every((line, index) => asTheirs(line) === theirs[index]);
}

/** Two answers that differ in one number at the end, ours the smaller. */
function countsLess(ours: string, theirs: string): boolean {
  const [mine, other] = [/^(.* err=0) (\d+)$/.exec(ours), /^(.* err=0) (\d+)$/.exec(theirs)];
  return mine !== null && other !== null && mine[1] === other[1] && Number(mine[2]) < Number(other[2]);
}

function withoutPingZxid(line: string): string {
  return line.replace(/^xid=-2 zxid=(?:\+\d+|old|0) err=0$/, "ping");
}

/** `server.1=...` as bytes, or nothing, that it is as long as it is, and by which txn of the server's own. */
function withoutConfig(line: string): string {
  return line
    .replaceAll(
      /(\{czxid=0) mzxid=\S+( pzxid=0 ctime=\S+) mtime=[^}]*? version=-?\d+(?=[^}]* length=(?:0|config) )/g,
      "$1$2",
    )
    .replaceAll(/"(?:0x7365727665722e[^"]*|'')"/g, "config")
    .replaceAll(/length=(?:0|config)\b/g, "length");
}

/** The first answers that differ: one says NoAuth, the other does not. */
function isAboutPermission(ours: readonly string[], theirs: readonly string[]): boolean {
  const at = ours.findIndex((line, index) => line !== theirs[index]);
  const isRefusal = (line = "") => line.endsWith(` err=${ZkErrorCode.NoAuth}`);
  return isRefusal(ours[at]) !== isRefusal(theirs[at]);
}

/** At the first answers that differ, a quota refuses one of the two alone, or another part of a multi. */
function isAboutQuota(ours: readonly string[], theirs: readonly string[]): boolean {
  const at = ours.findIndex((line, index) => line !== theirs[index]);
  const refusedAt = (line = "") =>
    line.split("; ").findIndex((part) => part.includes(` err=${ZkErrorCode.QuotaExceeded}`));
  return refusedAt(ours[at]) !== refusedAt(theirs[at]);
}

function isAboutConfig(step: Step): boolean {
  return (
    render(step).includes(configPath) || ("bytes" in step && Buffer.from(step.bytes).includes(configPath))
  );
}

function isReconfig(step: Step): boolean {
  return step.kind === "requests" && step.requests.some(({ type }) => type === OpCode.Reconfig);
}

/** With an empty path, alone. */
function asksNumberOfNothing(step: Step): boolean {
  if (step.kind === "frame") {
    const frame = Buffer.from(step.bytes);
    return (
      frame.readInt32BE(4) === OpCode.GetAllChildrenNumber && frame.length >= 12 && frame.readInt32BE(8) === 0
    );
  }
  if (step.kind !== "requests" || step.requests.length > 1) return false;
  const [request] = step.requests;
  return request?.type === OpCode.GetAllChildrenNumber && request.path === "";
}

/** Ours are theirs with some replayed events left out. */
function isWithoutReplays(ours: readonly string[], theirs: readonly string[]): boolean {
  let at = 0;
  for (const line of theirs) {
    if (line === ours[at]) at += 1;
    else if (!line.startsWith("event zxid=-1 ")) return false;
  }
  return at === ours.length;
}
