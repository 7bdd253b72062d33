/**
 * Admin commands: a member's report in the JSON of ZooKeeper's AdminServer.
 *
 * Keys, their order and Jackson's indentation are ZooKeeper's; session ids are decimal numbers of 64 bits.
 * `hash`, `snapshot` and `restore` are about the tree, and no report of a member answers them (`routes/admin.ts`).
 *
 * Sources: ZooKeeper 3.9 `org.apache.zookeeper.server.admin.Commands`; compared with a running 3.9.4.
 *
 * @module
 */

import { parseZxid, type Settings, ZERO_ZXID, zxidToBigint } from "../../base/index.ts";
import type {
  ConnectionReport,
  DigestAnswer,
  Listed,
  MemberReport,
  ReportList,
  ReportRequest,
  SizeFigures,
} from "../../objects/index.ts";
import { averageOf, type JavaJson } from "./java.ts";
import { monitorFigures, nodeCount } from "./monitor.ts";
import { opName } from "./op-names.ts";
import { dataDirectory, environmentOf, grouped } from "./words.ts";
import { zookeeperVersion } from "./zookeeper-version.ts";

type Digested = Extract<DigestAnswer, { kind: "digest" }>;
type Body = Readonly<Record<string, JavaJson>>;

interface Command {
  readonly aliases: readonly string[];
  readonly request?: ReportRequest | undefined;
  /** Whether it means something at a member that serves nobody. */
  readonly isAlwaysAnswered?: boolean | undefined;
  body(report: MemberReport, settings: Settings): Body;
}

export const notServing = "This ZooKeeper instance is not currently serving requests";

const nothing = () => ({});
const lists = (...names: readonly ReportList[]): ReportRequest => ({ lists: names });

const commands: Readonly<Record<string, Command>> = {
  configuration: { aliases: ["conf", "config"], body: configuration },
  connections: { aliases: ["cons"], request: lists("connections"), body: connections },
  connection_stat_reset: {
    aliases: ["crst"],
    request: { lists: [], reset: "connections" },
    body: nothing,
  },
  dirs: {
    aliases: [],
    body: ({ storageBytes }) => ({ datadir_size: storageBytes, logdir_size: storageBytes }),
  },
  dump: { aliases: [], request: lists("sessions", "ephemerals"), body: dump },
  environment: {
    aliases: ["env", "envi"],
    isAlwaysAnswered: true,
    body: ({ id }) => Object.fromEntries(environmentOf(id)),
  },
  get_trace_mask: { aliases: ["gtmk"], isAlwaysAnswered: true, body: traceMask },
  hash: { aliases: [], body: nothing },
  is_read_only: { aliases: ["isro"], body: () => ({ read_only: false }) },
  leader: { aliases: ["lead"], body: leader },
  monitor: {
    aliases: ["mntr"],
    isAlwaysAnswered: true,
    body: (report) => Object.fromEntries(monitorFigures(report)),
  },
  observer_connection_stat_reset: {
    aliases: ["orst"],
    request: { lists: [], reset: "connections" },
    body: nothing,
  },
  observers: { aliases: ["obsr"], body: observers },
  restore: { aliases: ["rest"], body: nothing },
  ruok: { aliases: [], body: nothing },
  server_stats: { aliases: ["srvr"], body: serverStats },
  set_trace_mask: { aliases: ["stmk"], isAlwaysAnswered: true, body: traceMask },
  snapshot: { aliases: ["snap"], body: nothing },
  stat_reset: { aliases: ["srst"], request: { lists: [], reset: "server" }, body: nothing },
  stats: {
    aliases: ["stat"],
    request: lists("connections"),
    body: (report) => ({ ...serverStats(report), ...briefConnections(report) }),
  },
  voting_view: { aliases: [], body: votingView },
  watch_summary: { aliases: ["wchs"], request: lists("watchSummary"), body: watchSummary },
  watches: { aliases: ["wchc"], request: lists("watches"), body: watchesBySession },
  watches_by_path: { aliases: ["wchp"], request: lists("watches"), body: watchesByPath },
  zabstate: { aliases: [], isAlwaysAnswered: true, body: zabState },
};

export const commandNames: readonly string[] = Object.keys(commands);

/** The command of a name or an alias; `undefined` when there is none. */
export function findCommand(name: string): string | undefined {
  if (Object.hasOwn(commands, name)) return name;
  return commandNames.find((each) => commands[each]?.aliases.includes(name));
}

export function requestOf(name: string): ReportRequest {
  return commands[name]?.request ?? { lists: [] };
}

/** The answer to a command, whole. @param report - `undefined`: no member of the ensemble answers. */
export function answerCommand(name: string, report: MemberReport | undefined, settings: Settings): Body {
  const command = commands[name];
  if (command === undefined) return failedCommand(name, `Unknown command: ${name}`);
  if (report === undefined || !(report.isServing || command.isAlwaysAnswered === true)) {
    return failedCommand(name, notServing);
  }
  if (hasTooMany(report)) return failedCommand(name, "Too many entries to list");
  return { ...command.body(report, settings), command: name, error: null };
}

/** ZooKeeper keeps a list of them, one every 128 txns; here there is the present one. */
export function answerDigest(name: string, { zxid, digest, version }: Digested): Body {
  const entry = { zxid: zxidNumber(zxid), digest: BigInt(digest), digest_version: version };
  return { digests: [entry], command: name, error: null };
}

export function failedCommand(name: string, error: string): Body {
  return { command: name, error };
}

function hasTooMany({ connections: each, sessions, ephemerals, watches }: MemberReport): boolean {
  return [each, sessions, ephemerals, watches].includes("tooMany");
}

function configuration(report: MemberReport, settings: Settings): Body {
  return {
    client_port: -1, // Each gateway has its own.
    data_dir: dataDirectory,
    data_log_dir: dataDirectory,
    tick_time: report.tickMs,
    max_client_cnxns: settings.maxConnectionsPerAddress,
    min_session_timeout: report.sessionTimeoutMsMin,
    max_session_timeout: report.sessionTimeoutMsMax,
    server_id: report.id,
    client_port_listen_backlog: -1,
  };
}

function connections({ connections: list }: MemberReport): Body {
  return { connections: listOf(list).map(connectionJson), secure_connections: [] };
}

function briefConnections({ connections: list }: MemberReport): Body {
  return { connections: listOf(list).map(briefConnectionJson), secure_connections: [] };
}

function briefConnectionJson(connection: ConnectionReport): Body {
  const { address, port, outstanding, received, sent } = connection;
  return {
    remote_socket_address: `${address}:${port}`,
    interest_ops: 1,
    outstanding_requests: outstanding,
    packets_received: received,
    packets_sent: sent,
  };
}

function connectionJson(connection: ConnectionReport): Body {
  const { sessionId, lastZxid, latency } = connection;
  if (sessionId === undefined) return briefConnectionJson(connection);
  return {
    ...briefConnectionJson(connection),
    session_id: sessionNumber(sessionId),
    last_operation: opName(connection.lastOp),
    established: connection.establishedMs,
    session_timeout: connection.timeoutMs,
    last_cxid: connection.lastCxid,
    last_zxid: lastZxid === undefined ? -1 : zxidNumber(lastZxid),
    last_response_time: connection.lastResponseMs,
    last_latency: connection.lastLatencyMs,
    min_latency: latency.min,
    avg_latency: Math.floor(averageOf(latency).value),
    max_latency: latency.max,
  };
}

function dump({ sessions, ephemerals }: MemberReport): Body {
  const buckets = grouped(listOf(sessions), ({ deadlineMs, id }) => [
    String(deadlineMs ?? 0),
    sessionNumber(id),
  ]);
  const owned = listOf(ephemerals).map(
    ({ sessionId, paths }) => [String(sessionNumber(sessionId)), paths] as const,
  );
  return {
    expiry_time_to_session_ids: Object.fromEntries(buckets),
    session_id_to_ephemeral_paths: Object.fromEntries(owned),
  };
}

function traceMask({ traceMask: mask }: MemberReport): Body {
  return { tracemask: BigInt(mask) };
}

/** A member has no address that anybody outside could use. */
function leader({ id, leader: leaderId, mode }: MemberReport): Body {
  return { is_leader: mode === "leader" || mode === "standalone", leader_id: leaderId || id, leader_ip: "" };
}

function observers({ learners, voters }: MemberReport): Body {
  const synced = learners.filter((id) => !voters.includes(id));
  return { synced_observers: synced.length, observers: synced };
}

function serverStats(report: MemberReport): Body {
  const { latency, responses, proposals, mode, storageBytes } = report;
  return {
    version: zookeeperVersion,
    read_only: false,
    server_stats: {
      packets_sent: report.sent,
      packets_received: report.received,
      client_response_stats: sizesJson(responses),
      data_dir_size: storageBytes,
      log_dir_size: storageBytes,
      provider_null: false,
      last_processed_zxid: zxidNumber(report.zxid),
      outstanding_requests: report.outstanding,
      server_state: mode,
      avg_latency: averageOf(latency),
      max_latency: latency.max,
      min_latency: latency.min,
      num_alive_client_connections: report.connectionCount,
      uptime: report.nowMs - report.startedMs,
      auth_failed_count: report.authFailures,
    },
    client_response: sizesJson(responses),
    ...(mode === "leader" && { proposal_stats: sizesJson(proposals) }),
    node_count: nodeCount(report.census.znodes),
  };
}

function sizesJson({ last, min, max }: SizeFigures): Body {
  return { last_buffer_size: last, min_buffer_size: min, max_buffer_size: max };
}

function votingView({ voters, mode }: MemberReport): Body {
  if (mode === "standalone") return { current_config: {} };
  const member = {
    server_addresses: [],
    election_addresses: [],
    client_address: "",
    learner_type: "participant",
  };
  return { current_config: Object.fromEntries(voters.map((id) => [String(id), member])) };
}

function watchSummary({ watchSummary: summary }: MemberReport): Body {
  const { connections: sessions = 0, paths = 0, watches = 0 } = summary ?? {};
  return { num_connections: sessions, num_paths: paths, num_total_watches: watches };
}

function watchesBySession({ watches }: MemberReport): Body {
  const groups = grouped(listOf(watches), ({ sessionId, path }) => [String(sessionNumber(sessionId)), path]);
  return { session_id_to_watched_paths: Object.fromEntries(groups) };
}

function watchesByPath({ watches }: MemberReport): Body {
  const groups = grouped(listOf(watches), ({ sessionId, path }) => [path, sessionNumber(sessionId)]);
  return { path_to_session_ids: Object.fromEntries(groups) };
}

function zabState({ id, mode, leader: leaderId, voters, zxid, isServing }: MemberReport): Body {
  if (mode === "standalone") return { voting: false, zabstate: "" };
  const { epoch, counter } = parseZxid(zxid) ?? ZERO_ZXID;
  return {
    myid: id,
    is_leader: leaderId === id,
    quorum_address: "",
    election_address: "",
    client_address: "",
    voting: voters.includes(id),
    last_zxid: zxid,
    zab_epoch: epoch,
    zab_counter: counter,
    zabstate: isServing ? "broadcast" : "election",
  };
}

/** As a signed number, which is how Java holds it. */
function sessionNumber(printed: string): bigint {
  return BigInt.asIntN(64, BigInt(printed));
}

function zxidNumber(printed: string): bigint {
  return zxidToBigint(parseZxid(printed) ?? ZERO_ZXID);
}

/** Lists that are too long were refused before. */
function listOf<Entry>(list: Listed<Entry> | undefined): readonly Entry[] {
  return list === undefined || list === "tooMany" ? [] : list;
}
