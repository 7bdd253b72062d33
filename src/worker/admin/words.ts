/**
 * Four-letter words: a member's report as the text ZooKeeper answers with.
 *
 * Text with LF line ends, nothing said that is not known: figures of a JVM (file descriptors, heap, class
 * path) are left out.
 *
 * Sources: ZooKeeper 3.9 `org.apache.zookeeper.server.command`, `ServerStats.toString`,
 * `NIOServerCnxn.dumpConnectionInfo`; compared with the answers of a running 3.9.4.
 *
 * @module
 */

import { formatSessionId, makeSessionId, unreachable } from "../../base/index.ts";
import type { ConnectionReport, Listed, MemberReport, ReportRequest } from "../../objects/index.ts";
import { averageOf, javaDate, javaSocketAddress } from "./java.ts";
import { type Figure, monitorFigures, nodeCount } from "./monitor.ts";
import { opName } from "./op-names.ts";
import { zookeeperVersion } from "./zookeeper-version.ts";

export const words = [
  ...(["conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro"] as const),
  ...(["mntr", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs"] as const),
];
export type Word = (typeof words)[number];

export function isWord(text: string): text is Word {
  return words.some((word) => word === text);
}

/** What only the gateway that was asked knows of itself. */
export interface Listener {
  readonly clientPort: number;
  readonly secureClientPort: number;
  /** Connections one address may have at the gateway; 0: any number. */
  readonly connectionsPerAddressMax: number;
}

/** What a report must hold for a word. */
export function reportFor(word: Word, traceMask: string | undefined): ReportRequest {
  switch (word) {
    case "cons":
    case "stat":
      return { lists: ["connections"] };
    case "dump":
      return { lists: ["sessions", "ephemerals", "connections"] };
    case "wchc":
    case "wchp":
      return { lists: ["watches"] };
    case "wchs":
      return { lists: ["watchSummary"] };
    case "crst":
      return { lists: [], reset: "connections" };
    case "srst":
      return { lists: [], reset: "server" };
    case "stmk":
      return { lists: [], traceMask };
    default:
      return { lists: [] };
  }
}

const notServing = "This ZooKeeper instance is not currently serving requests\n";

/** Answered also by a member that serves nobody. */
const alwaysAnswered: ReadonlySet<Word> = new Set(["ruok", "envi", "gtmk", "stmk", "isro"]);

/** @param report - `undefined`: no member of the ensemble answers. */
export function answerWord(word: Word, report: MemberReport | undefined, listener: Listener): string {
  if (word === "ruok") return "imok";
  if (word === "isro") return report?.isServing === true ? "rw" : "null";
  if (report === undefined || !(report.isServing || alwaysAnswered.has(word))) return notServing;
  switch (word) {
    case "conf":
      return confText(report, listener);
    case "cons":
      return ofList(report.connections, "connections", (list) => `${list.map(fullLine(report)).join("")}\n`);
    case "crst":
      return "Connection stats reset.\n";
    case "srst":
      return "Server stats reset.\n";
    case "dirs":
      return `datadir_size: ${report.storageBytes}\nlogdir_size: ${report.storageBytes}\n`;
    case "dump":
      return dumpText(report);
    case "envi":
      return enviText(report);
    case "gtmk":
    case "stmk":
      return report.traceMask;
    case "hash":
      return ""; // As ZooKeeper without digests: one reads the whole tree, which a word that anybody sends must not.
    case "mntr":
      return monitorFigures(report).map(monitorLine).join("");
    case "srvr":
      return `${versionLine}${statLines(report)}`;
    case "stat":
      return statText(report);
    case "wchc":
      return watchesText(report, ({ sessionId, path }) => [sessionId, path]);
    case "wchp":
      return watchesText(report, ({ sessionId, path }) => [path, sessionId]);
    case "wchs":
      return summaryText(report);
    default:
      return unreachable(word);
  }
}

const versionLine = `Zookeeper version: ${zookeeperVersion}\n`;

function statLines(report: MemberReport): string {
  const { latency, received, sent, connectionCount, outstanding, zxid, mode, census, proposals } = report;
  const lines = [
    `Latency min/avg/max: ${latency.min}/${averageOf(latency)}/${latency.max}`,
    `Received: ${received}`,
    `Sent: ${sent}`,
    `Connections: ${connectionCount}`,
    `Outstanding: ${outstanding}`,
    `Zxid: ${zxid}`,
    `Mode: ${mode}`,
    `Node count: ${nodeCount(census.znodes)}`,
  ];
  if (mode === "leader") {
    lines.push(`Proposal sizes last/min/max: ${proposals.last}/${proposals.min}/${proposals.max}`);
  }
  return `${lines.join("\n")}\n`;
}

function statText(report: MemberReport): string {
  const clients = ofList(report.connections, "connections", (list) => list.map(briefLine).join(""));
  return `${versionLine}Clients:\n${clients}\n${statLines(report)}`;
}

function briefLine(connection: ConnectionReport): string {
  return ` ${socketOf(connection)}[1](${counts(connection)})\n`;
}

function fullLine({ startedMs }: MemberReport): (connection: ConnectionReport) => string {
  return (connection) => {
    const { sessionId, lastOp, establishedMs, timeoutMs, lastCxid, lastZxid, latency } = connection;
    if (sessionId === undefined) return briefLine(connection);
    const parts = [
      counts(connection),
      `sid=${sessionId}`,
      `lop=${opName(lastOp)}`,
      `est=${establishedMs}`,
      `to=${timeoutMs}`,
      ...(lastCxid >= 0 && lastOp !== undefined ? [`lcxid=0x${lastCxid.toString(16)}`] : []),
      `lzxid=${lastZxid ?? "0xffffffffffffffff"}`,
      // Java's is a clock that began with the process.
      `lresp=${Math.max(0, connection.lastResponseMs - startedMs)}`,
      `llat=${connection.lastLatencyMs}`,
      `minlat=${latency.min}`,
      `avglat=${Math.floor(averageOf(latency).value)}`,
      `maxlat=${latency.max}`,
    ];
    return ` ${socketOf(connection)}[1](${parts.join(",")})\n`;
  };
}

function counts({ outstanding, received, sent }: ConnectionReport): string {
  return `queued=${outstanding},recved=${received},sent=${sent}`;
}

function socketOf({ address, port }: ConnectionReport): string {
  return javaSocketAddress(address, port);
}

function confText(report: MemberReport, listener: Listener): string {
  const { id, tickMs, sessionTimeoutMsMin, sessionTimeoutMsMax, storageBytes, voters, configText } = report;
  const lines = [
    `clientPort=${listener.clientPort}`,
    `secureClientPort=${listener.secureClientPort}`,
    `dataDir=${dataDirectory}`,
    `dataDirSize=${storageBytes}`,
    `dataLogDir=${dataDirectory}`,
    `dataLogSize=${storageBytes}`,
    `tickTime=${tickMs}`,
    `maxClientCnxns=${listener.connectionsPerAddressMax}`,
    `minSessionTimeout=${sessionTimeoutMsMin}`,
    `maxSessionTimeout=${sessionTimeoutMsMax}`,
    "clientPortListenBacklog=-1",
    `serverId=${id}`,
  ];
  if (report.mode !== "standalone") {
    lines.push(`peerType=${voters.includes(id) ? 0 : 1}`, "membership: ", configText);
  }
  return `${lines.join("\n")}\n`;
}

/** Storage is a database of the member's own, and log and znodes share it. */
export const dataDirectory = "sqlite";

function enviText({ id }: MemberReport): string {
  return environmentOf(id)
    .map(([key, value]) => `${key}=${value}\n`)
    .reduce((text, line) => text + line, "Environment:\n");
}

export function environmentOf(id: number): readonly (readonly [key: string, value: string])[] {
  return [
    ["zookeeper.version", zookeeperVersion],
    ["host.name", `server.${id}`],
    ["os.name", "Cloudflare Workers"],
  ];
}

function dumpText(report: MemberReport): string {
  return [sessionsText(report), ephemeralsText(report), connectionsText(report)].join("");
}

function sessionsText({ sessions, mode }: MemberReport): string {
  return ofList(sessions, "sessions", (list) => {
    if (mode !== "leader" && mode !== "standalone") {
      const lines = list.map(({ id, timeoutMs }) => `${id}\t${timeoutMs}ms\n`).join("");
      return `SessionTracker dump:\nGlobal Sessions(${list.length}):\n${lines}`;
    }
    const buckets = grouped(list, ({ deadlineMs, id }) => [deadlineMs ?? 0, id]);
    const head = `SessionTracker dump:\nSession Sets (${buckets.size})/(${list.length}):\n`;
    return head + bucketLines(buckets);
  });
}

function ephemeralsText({ ephemerals }: MemberReport): string {
  return ofList(ephemerals, "ephemerals", (owners) => {
    const lines = owners.map(({ sessionId, paths }) => `${sessionId}:\n${indented(paths)}`);
    return `ephemeral nodes dump:\nSessions with Ephemerals (${owners.length}):\n${lines.join("")}`;
  });
}

/** Java drops a connection with its session, or one without a session after a while: here only the former. */
function connectionsText({ connections, sessions, nowMs }: MemberReport): string {
  return ofList(connections, "connections", (list) => {
    const dueMs = new Map(
      sessions === undefined || sessions === "tooMany"
        ? []
        : sessions.map(({ id, deadlineMs }) => [id, deadlineMs]),
    );
    const buckets = grouped(list, (connection) => {
      const sessionId = connection.sessionId ?? formatSessionId(makeSessionId(0n));
      return [dueMs.get(sessionId) ?? nowMs, `ip: ${socketOf(connection)} sessionId: ${sessionId}`];
    });
    const head = `Connections dump:\nConnections Sets (${buckets.size})/(${list.length}):\n`;
    return head + bucketLines(buckets);
  });
}

function bucketLines(buckets: ReadonlyMap<number, readonly string[]>): string {
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(
      ([deadlineMs, entries]) => `${entries.length} expire at ${javaDate(deadlineMs)}:\n${indented(entries)}`,
    )
    .join("");
}

function watchesText(
  { watches }: MemberReport,
  pair: (watch: { sessionId: string; path: string }) => readonly [key: string, value: string],
): string {
  return ofList(watches, "watches", (list) => {
    const groups = grouped(list, pair);
    return `${[...groups].map(([key, values]) => `${key}\n${indented(values)}`).join("")}\n`;
  });
}

function summaryText({ watchSummary }: MemberReport): string {
  const { connections = 0, paths = 0, watches = 0 } = watchSummary ?? {};
  return `${connections} connections watching ${paths} paths\nTotal watches:${watches}\n`;
}

function monitorLine([key, value]: Figure): string {
  return `zk_${key}\t${value}\n`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `\t${line}\n`).join("");
}

/** Values by key, both in order of appearance. */
export function grouped<Entry, Key, Value>(
  entries: readonly Entry[],
  pair: (entry: Entry) => readonly [Key, Value],
): ReadonlyMap<Key, readonly Value[]> {
  const groups = new Map<Key, Value[]>();
  for (const entry of entries) {
    const [key, value] = pair(entry);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

function ofList<Entry>(
  list: Listed<Entry> | undefined,
  what: string,
  text: (list: readonly Entry[]) => string,
): string {
  return list === "tooMany" ? `Too many ${what} to list\n` : text(list ?? []);
}
