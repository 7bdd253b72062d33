/**
 * Apache ZooKeeper: an ensemble of our own on loopback with its defaults (fsync on), or one that is given.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { type Address, LoadConnection } from "../load/connection.ts";
import { pause } from "../load/drive.ts";
import { freePorts, makeTemporaryDirectory, ServerProcess } from "./process.ts";
import type { System } from "./system.ts";

const readyTimeoutMs = 60_000;
/** One that is said to run already needs no time to start. */
const givenTimeoutMs = 5_000;
/** A server that is still starting may take a connection and forget it. */
const attemptMs = 1_000;
const wordTimeoutMs = 1_000;

/** What its own start script gives a server. */
const heap = "-Xmx1000m";

/** One that runs already, wherever it is. */
export async function givenZooKeeper(addresses: readonly Address[]): Promise<System> {
  await awaitSession(addresses, givenTimeoutMs);
  const leaderAtHead = await leaderFirst(addresses);
  return { name: "zookeeper", isGiven: true, addresses: leaderAtHead, stop: async () => undefined };
}

/**
 * @param properties - Java system properties, such as `zookeeper.superUser`. Default: none.
 * @param settings - Further lines of `zoo.cfg`. Default: none.
 */
export async function startZooKeeper(
  classPath: string,
  members: number,
  properties: Readonly<Record<string, string>> = {},
  settings: readonly string[] = [],
): Promise<System> {
  const directory = makeTemporaryDirectory();
  const ports = await freePorts(3 * members);
  const configs = Array.from({ length: members }, (_, index) =>
    writeConfig(join(directory.path, String(index + 1)), index + 1, ports, settings),
  );
  const addresses = Array.from({ length: members }, (_, index) => clientAddress(index + 1, ports));
  const beganMs = performance.now();
  const servers = configs.map((config) => startServer(classPath, config, properties));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop("SIGKILL")));
    directory.remove();
  };
  try {
    await awaitSession(addresses);
    const readyMs = performance.now() - beganMs;
    let killed: number | undefined;
    const killLeader = async (): Promise<void> => {
      killed = await findLeader(addresses);
      if (killed === undefined) throw new Error("there is no leader to kill");
      await servers[killed]?.stop("SIGKILL");
    };
    let frozen: number | undefined;
    const hangLeader = async (): Promise<void> => {
      frozen = await findLeader(addresses);
      if (frozen === undefined) throw new Error("there is no leader to stop");
      servers[frozen]?.freeze(true);
    };
    const mend = async (): Promise<void> => {
      if (frozen !== undefined) {
        servers[frozen]?.freeze(false);
        const thawed = addresses[frozen];
        frozen = undefined;
        if (thawed !== undefined) await awaitSession([thawed]);
        return;
      }
      const config = configs[killed ?? -1];
      const address = addresses[killed ?? -1];
      if (killed === undefined || config === undefined || address === undefined) return;
      servers[killed] = startServer(classPath, config, properties);
      await awaitSession([address]);
    };
    await awaitAll(addresses);
    return {
      name: "zookeeper",
      addresses: await leaderFirst(addresses),
      readyMs,
      said: () => servers.map((server) => server.said + server.stdout).join("\n"),
      stop,
      killLeader,
      hangLeader,
      mend,
    };
  } catch (error) {
    const said = servers.map((server) => server.said).join("\n");
    await stop();
    throw new Error(`ZooKeeper did not start, and said:\n${said}`, { cause: error });
  }
}

function startServer(
  classPath: string,
  config: string,
  properties: Readonly<Record<string, string>>,
): ServerProcess {
  return new ServerProcess("java", [
    heap,
    "-cp",
    classPath,
    "-Dzookeeper.admin.enableServer=false",
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    config,
  ]);
}

/** Three ports each: clients, quorum, election. */
function portOf(id: number, kind: 0 | 1 | 2, ports: readonly number[]): number {
  const port = ports[(id - 1) * 3 + kind];
  if (port === undefined) throw new Error(`no port for server ${id}`);
  return port;
}

function clientAddress(id: number, ports: readonly number[]): Address {
  return { host: "127.0.0.1", port: portOf(id, 0, ports) };
}

function writeConfig(
  directory: string,
  id: number,
  ports: readonly number[],
  settings: readonly string[],
): string {
  mkdirSync(directory);
  writeFileSync(join(directory, "myid"), String(id));
  const servers = Array.from({ length: ports.length / 3 }, (_, index) => index + 1).map(
    (other) =>
      `server.${other}=127.0.0.1:${portOf(other, 1, ports)}:${portOf(other, 2, ports)};127.0.0.1:${portOf(other, 0, ports)}`,
  );
  const lines = [
    "tickTime=2000",
    "initLimit=10",
    "syncLimit=5",
    "maxClientCnxns=0",
    `dataDir=${directory}`,
    "clientPortAddress=127.0.0.1",
    `clientPort=${portOf(id, 0, ports)}`,
    // A single one runs standalone, as it would anywhere.
    ...(servers.length > 1 ? servers : []),
    ...settings,
  ];
  const path = join(directory, "zoo.cfg");
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

/** Until one of them makes a session. */
async function awaitSession(addresses: readonly Address[], timeoutMs = readyTimeoutMs): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let attempt = 0; ; attempt++) {
    const address = addresses[attempt % addresses.length];
    if (address === undefined) throw new Error("no address of ZooKeeper");
    try {
      const connection = await LoadConnection.open(address, {
        onFailure: () => undefined,
        openTimeoutMs: attemptMs,
      });
      await connection.close();
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) {
        throw new Error(`no session at ${address.host}:${address.port}`, { cause: error });
      }
      await pause(20);
    }
  }
}

/** Measuring begins with a whole ensemble. */
async function awaitAll(addresses: readonly Address[]): Promise<void> {
  for (const address of addresses) await awaitSession([address]);
}

async function findLeader(addresses: readonly Address[]): Promise<number | undefined> {
  const answers = await Promise.all(addresses.map((address) => askWord(address, "srvr")));
  const index = answers.findIndex((answer) => /^Mode: (?:leader|standalone)$/m.test(answer));
  return index === -1 ? undefined : index;
}

/** As they came when nobody says it leads. */
async function leaderFirst(addresses: readonly Address[]): Promise<readonly Address[]> {
  const index = (await findLeader(addresses)) ?? 0;
  return [...addresses.slice(index), ...addresses.slice(0, index)];
}

/** A four-letter word's answer; empty when there is none. */
function askWord({ host, port }: Address, word: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = createConnection({ host, port, timeout: wordTimeoutMs });
    socket.on("connect", () => socket.write(word));
    socket.on("data", (chunk) => {
      answer += chunk.toString();
    });
    socket.on("timeout", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(answer));
  });
}
