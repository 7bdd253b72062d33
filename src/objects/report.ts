/**
 * A member's report of itself: the figures behind ZooKeeper's four-letter words and admin commands.
 *
 * Looking changes nothing, and costs a serving member little: only lists cost what they hold, so they are
 * asked for by name, and none is longer than `reportEntriesMax`.
 *
 * A watch stream is a connection without a session, and each of its subscriptions a watch at its path: also one of
 * children, for it tells of the znode's own coming and going too.
 *
 * @module
 */

import {
  type AuthId,
  formatSessionId,
  formatZxid,
  NO_SESSION,
  type ServerId,
  type SessionId,
} from "../base/index.ts";
import type { Census, SessionDeadlines, Tree, WatcherId } from "../tree/index.ts";
import type { Introduction } from "./api.ts";
import type { Connection } from "./connection.ts";
import type {
  ConnectionFigures,
  ConnectionStats,
  LatencyFigures,
  ServerStats,
  SizeFigures,
} from "./stats.ts";

/** Entries of one list, or pairs of one listing of watches. A report crosses between objects in one piece. */
export const reportEntriesMax = 100_000;

export type ReportList = "connections" | "sessions" | "ephemerals" | "watches" | "watchSummary";

/** What to do besides looking. */
export type ReportReset = "server" | "connections";

export interface ReportRequest {
  readonly lists: readonly ReportList[];
  /** Done after looking. */
  readonly reset?: ReportReset | undefined;
  /** Remembered before looking; decimal, 64 bits. */
  readonly traceMask?: string | undefined;
}

export type ReportMode = "leader" | "follower" | "observer" | "standalone" | "looking";

/** What a report tells as it was found. */
export interface ReportFacts {
  readonly id: ServerId;
  /** Whether it takes clients. */
  readonly isServing: boolean;
  readonly leader: ServerId | 0;
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /** Learners with a session, at a leader. */
  readonly learners: readonly ServerId[];
  readonly epoch: number;
  /** Ms since 1970. */
  readonly nowMs: number;
  /** When this life began. */
  readonly startedMs: number;
  readonly tickMs: number;
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  /** The member's whole SQLite database. */
  readonly storageBytes: number;
}

export interface MemberReport extends ReportFacts {
  readonly kind: "report";
  readonly mode: ReportMode;
  /** Printed: applied here. */
  readonly zxid: string;
  readonly census: Census;
  readonly sessionCount: number;
  readonly connectionCount: number;
  readonly outstanding: number;
  readonly received: number;
  readonly sent: number;
  readonly authFailures: number;
  readonly throttledOps: number;
  readonly latency: LatencyFigures;
  readonly responses: SizeFigures;
  readonly proposals: SizeFigures;
  readonly watchCount: number;
  /** ZooKeeper's: a number that clients may set, and that nothing here looks at. */
  readonly traceMask: string;
  /** What `/zookeeper/config` says. */
  readonly configText: string;
  readonly watchSummary?: WatchSummary | undefined;
  /** Asked for, and short enough; `tooMany` otherwise. */
  readonly connections?: Listed<ConnectionReport> | undefined;
  /** Only the leader knows deadlines. */
  readonly sessions?: Listed<SessionReport> | undefined;
  readonly ephemerals?: Listed<OwnerReport> | undefined;
  readonly watches?: Listed<WatchReport> | undefined;
}

export type Listed<Entry> = readonly Entry[] | "tooMany";

export interface ConnectionReport extends ConnectionFigures {
  readonly address: string;
  /** 0: unknown. */
  readonly port: number;
  /** Printed; `undefined` before the handshake is over, and for a watch stream. */
  readonly sessionId: string | undefined;
  readonly timeoutMs: number;
  readonly outstanding: number;
  /** Since when this life of the member knows it. */
  readonly establishedMs: number;
}

export interface SessionReport {
  readonly id: string;
  readonly timeoutMs: number;
  /** `undefined` at members that do not lead. */
  readonly deadlineMs: number | undefined;
}

export interface OwnerReport {
  readonly sessionId: string;
  readonly paths: readonly string[];
}

export interface WatchReport {
  /** Printed; `0x0` for a watch stream, which has none. */
  readonly sessionId: string;
  readonly path: string;
}

/** Of ZooKeeper's data table. */
export interface WatchSummary {
  readonly connections: number;
  readonly paths: number;
  readonly watches: number;
}

/** What a report is made of. */
export interface ReportParts {
  readonly facts: ReportFacts;
  readonly role: "looking" | "following" | "leading" | "observing";
  readonly tree: Tree;
  readonly stats: ServerStats;
  readonly connections: ReportedConnections;
  readonly streams: ReportedStreams;
  /** While leading. */
  readonly deadlines: SessionDeadlines | undefined;
}

/** As much of the connections as a report needs. */
export interface ReportedConnections {
  readonly size: number;
  readonly outstanding: number;
  figures(): Iterable<ConnectionReport>;
  sessionOf(watcher: WatcherId): SessionId | undefined;
}

/** As much of the watch streams. */
export interface ReportedStreams {
  readonly size: number;
  readonly watchCount: number;
  readonly outstanding: number;
  figures(): Iterable<ConnectionReport>;
  subscriptions(): Iterable<{ readonly stream: object; readonly filter: { readonly path: string } }>;
}

export function makeReport(parts: ReportParts, lists: readonly ReportList[]): MemberReport {
  const { facts, role, tree, stats, connections, streams } = parts;
  return {
    ...facts,
    kind: "report",
    mode: modeOf(role, facts.voters.length + facts.observers.length),
    zxid: formatZxid(tree.applied),
    census: tree.census(),
    sessionCount: tree.sessionCount,
    connectionCount: connections.size + streams.size,
    outstanding: connections.outstanding + streams.outstanding,
    received: stats.received,
    sent: stats.sent,
    authFailures: stats.authFailures,
    throttledOps: stats.throttledOps,
    latency: stats.latencies.figures,
    responses: stats.responses.figures,
    proposals: stats.proposals.figures,
    watchCount: tree.watches.total + streams.watchCount,
    traceMask: stats.traceMask,
    configText: new TextDecoder().decode(tree.get("/zookeeper/config")?.data ?? new Uint8Array(0)),
    ...(lists.includes("watchSummary") && { watchSummary: summaryOf(watching(parts)) }),
    ...(lists.includes("connections") && { connections: listed(connectionReports(parts)) }),
    ...(lists.includes("sessions") && { sessions: listed(sessionReports(parts)) }),
    ...(lists.includes("ephemerals") && { ephemerals: ownerReports(tree) }),
    ...(lists.includes("watches") && { watches: listed(watchReports(parts)) }),
  };
}

/** Java's word for what this member is. */
function modeOf(role: ReportParts["role"], members: number): ReportMode {
  switch (role) {
    case "leading":
      return members === 1 ? "standalone" : "leader";
    case "following":
      return "follower";
    case "observing":
      return "observer";
    case "looking":
      return "looking";
  }
}

function listed<Entry>(entries: Iterable<Entry>): Listed<Entry> {
  const list: Entry[] = [];
  for (const entry of entries) if (list.push(entry) > reportEntriesMax) return "tooMany";
  return list;
}

function* connectionReports({ connections, streams }: ReportParts): Iterable<ConnectionReport> {
  yield* connections.figures();
  yield* streams.figures();
}

function* sessionReports({ tree, deadlines }: ReportParts): Iterable<SessionReport> {
  if (deadlines === undefined) {
    for (const { id, timeoutMs } of tree.sessions()) {
      yield { id: formatSessionId(id), timeoutMs, deadlineMs: undefined };
    }
    return;
  }
  for (const { deadlineMs, ids } of deadlines.entries()) {
    for (const id of ids) {
      yield { id: formatSessionId(id), timeoutMs: tree.session(id)?.timeoutMs ?? 0, deadlineMs };
    }
  }
}

function ownerReports(tree: Tree): Listed<OwnerReport> {
  const owners: OwnerReport[] = [];
  let total = 0;
  for (const { id } of tree.sessions()) {
    const paths = tree.ephemeralsOf(id);
    total += paths.length;
    if (total > reportEntriesMax) return "tooMany";
    if (paths.length > 0) owners.push({ sessionId: formatSessionId(id), paths });
  }
  return owners;
}

/** One watch, and whose it is: a connection's or a stream's. */
interface Watching extends WatchReport {
  readonly watcher: WatcherId | object;
}

function summaryOf(entries: Iterable<Watching>): WatchSummary {
  const watchers = new Set<WatcherId | object>();
  const paths = new Set<string>();
  let watches = 0;
  for (const { watcher, path } of entries) {
    watchers.add(watcher);
    paths.add(path);
    watches += 1;
  }
  return { connections: watchers.size, paths: paths.size, watches };
}

function* watchReports(parts: ReportParts): Iterable<WatchReport> {
  // Who watches stays here: a report crosses between objects.
  for (const { sessionId, path } of watching(parts)) yield { sessionId, path };
}

function* watching({ tree, connections, streams }: ReportParts): Iterable<Watching> {
  for (const { path, watcher } of tree.watches.dataTable()) {
    const session = connections.sessionOf(watcher);
    // Locks of HTTP watch too, and are nobody's connection.
    if (session !== undefined) yield { watcher, sessionId: formatSessionId(session), path };
  }
  const sessionId = formatSessionId(NO_SESSION);
  for (const { stream, filter } of streams.subscriptions()) {
    yield { watcher: stream, sessionId, path: filter.path };
  }
}

/** What a connection has done, and who it is. */
export function reportConnection(
  { connection, introduction, sinceMs }: ReportedConnection,
  tree: Tree,
): ConnectionReport {
  const { stats, sessionId, outstanding } = connection;
  const { received, sent, lastOp, lastCxid, lastResponseMs, lastLatencyMs } = stats;
  return {
    ...{ received, sent, lastOp, lastCxid, lastResponseMs, lastLatencyMs, outstanding },
    address: introduction.address,
    port: introduction.port,
    sessionId: sessionId === NO_SESSION ? undefined : formatSessionId(sessionId),
    timeoutMs: tree.session(sessionId)?.timeoutMs ?? 0,
    lastZxid: lastOp === undefined ? undefined : formatZxid(stats.lastZxid),
    latency: stats.latencies.figures,
    establishedMs: sinceMs,
  };
}

interface ReportedConnection {
  readonly connection: Connection;
  readonly introduction: Introduction;
  readonly sinceMs: number;
}

/** As much of a watch stream as a report tells. */
interface ReportedStream {
  readonly stats: ConnectionStats;
  readonly identities: readonly AuthId[];
  readonly waiting: { readonly size: number };
  readonly sinceMs: number;
}

/** What a watch stream has done, and who listens. */
export function reportStream({ stats, identities, waiting, sinceMs }: ReportedStream): ConnectionReport {
  const { received, sent, lastOp, lastCxid, lastResponseMs, lastLatencyMs } = stats;
  return {
    ...{ received, sent, lastOp, lastCxid, lastResponseMs, lastLatencyMs },
    outstanding: waiting.size,
    // The Worker says from where it was asked, as an identity; HTTP does not tell the port.
    address: identities.find(({ scheme }) => scheme === "ip")?.id ?? "",
    port: 0,
    sessionId: undefined,
    timeoutMs: 0,
    lastZxid: undefined,
    latency: stats.latencies.figures,
    establishedMs: sinceMs,
  };
}
