/**
 * A member's report of itself: the figures behind ZooKeeper's four-letter words and admin commands.
 *
 * Looking changes nothing, and costs a serving member little: only lists cost what they hold, so they are
 * asked for by name, and none is longer than `reportEntriesMax`.
 *
 * @module
 */

import { formatSessionId, formatZxid, NO_SESSION, type ServerId, type SessionId } from "../base/index.ts";
import type { Census, SessionDeadlines, Tree, WatcherId } from "../tree/index.ts";
import type { Introduction } from "./api.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionFigures, LatencyFigures, ServerStats, SizeFigures } from "./stats.ts";

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
  /** Printed; `undefined` before the handshake is over. */
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

export function makeReport(parts: ReportParts, lists: readonly ReportList[]): MemberReport {
  const { facts, role, tree, stats, connections } = parts;
  return {
    ...facts,
    kind: "report",
    mode: modeOf(role, facts.voters.length + facts.observers.length),
    zxid: formatZxid(tree.applied),
    census: tree.census(),
    sessionCount: tree.sessionCount,
    connectionCount: connections.size,
    outstanding: connections.outstanding,
    received: stats.received,
    sent: stats.sent,
    authFailures: stats.authFailures,
    throttledOps: stats.throttledOps,
    latency: stats.latencies.figures,
    responses: stats.responses.figures,
    proposals: stats.proposals.figures,
    watchCount: tree.watches.total,
    traceMask: stats.traceMask,
    configText: new TextDecoder().decode(tree.get("/zookeeper/config")?.data ?? new Uint8Array(0)),
    ...(lists.includes("watchSummary") && { watchSummary: summaryOf(watchReports(parts)) }),
    ...(lists.includes("connections") && { connections: listed(connections.figures()) }),
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

function summaryOf(entries: Iterable<WatchReport>): WatchSummary {
  const sessions = new Set<string>();
  const paths = new Set<string>();
  let watches = 0;
  for (const { sessionId, path } of entries) {
    sessions.add(sessionId);
    paths.add(path);
    watches += 1;
  }
  return { connections: sessions.size, paths: paths.size, watches };
}

function* watchReports({ tree, connections }: ReportParts): Iterable<WatchReport> {
  for (const { path, watcher } of tree.watches.dataTable()) {
    const session = connections.sessionOf(watcher);
    // Locks of HTTP watch too, and are nobody's connection.
    if (session !== undefined) yield { sessionId: formatSessionId(session), path };
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
