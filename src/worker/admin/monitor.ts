/**
 * The figures of `mntr`, and of the admin command `monitor`.
 *
 * A part of ZooKeeper's: those that mean something here. What is not counted is left out rather than 0.
 *
 * Sources: ZooKeeper `ZooKeeperServer.dumpMonitorValues`, `LeaderZooKeeperServer.dumpMonitorValues`,
 * `QuorumZooKeeperServer.dumpMonitorValues`.
 *
 * @module
 */

import type { MemberReport } from "../../objects/index.ts";
import { averageOf, type JavaDouble } from "./java.ts";
import { zookeeperVersion } from "./zookeeper-version.ts";

export type Figure = readonly [key: string, value: string | number | JavaDouble];

export function monitorFigures(report: MemberReport): readonly Figure[] {
  const { latency, responses, census } = report;
  return [
    ["version", zookeeperVersion],
    ["server_state", report.mode],
    ["ephemerals_count", census.ephemerals],
    ["num_alive_connections", report.connectionCount],
    ["avg_latency", averageOf(latency)],
    ["outstanding_requests", report.outstanding],
    ["znode_count", nodeCount(census.znodes)],
    ["global_sessions", report.sessionCount],
    ["local_sessions", 0],
    ["last_client_response_size", responses.last],
    ["min_client_response_size", responses.min],
    ["max_client_response_size", responses.max],
    ["packets_sent", report.sent],
    ["packets_received", report.received],
    ["watch_count", report.watchCount],
    ["auth_failed_count", report.authFailures],
    ["throttled_ops", report.throttledOps],
    ["min_latency", latency.min],
    ["max_latency", latency.max],
    ["approximate_data_size", census.bytes],
    ["uptime", report.nowMs - report.startedMs],
    ...quorumFigures(report),
    ...leaderFigures(report),
  ];
}

/** Java counts the root twice. */
export function nodeCount(znodes: number): number {
  return znodes + 1;
}

function quorumFigures({ mode, voters }: MemberReport): readonly Figure[] {
  if (mode === "standalone") return [];
  const peerState = {
    leader: "leading - broadcast",
    follower: "following - broadcast",
    observer: "observing - broadcast",
    looking: "looking",
  };
  return [
    ["quorum_size", voters.length],
    ["peer_state", peerState[mode]],
  ];
}

function leaderFigures({ mode, learners, voters, proposals }: MemberReport): readonly Figure[] {
  if (mode !== "leader") return [];
  const followers = learners.filter((id) => voters.includes(id)).length;
  return [
    ["learners", learners.length],
    ["synced_followers", followers],
    ["synced_observers", learners.length - followers],
    ["synced_non_voting_followers", 0],
    ["last_proposal_size", proposals.last],
    ["min_proposal_size", proposals.min],
    ["max_proposal_size", proposals.max],
  ];
}
