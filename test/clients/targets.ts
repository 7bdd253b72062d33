/**
 * The servers that a client's suite runs against: ours, and a real ZooKeeper beside it, set up alike.
 *
 * Suites that kill and start their servers ask for it by HTTP: `POST /stop`, `POST /start`.
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:http";
import { findJars } from "../../bench/servers/jars.ts";
import { startZooKeeper } from "../../bench/servers/zookeeper.ts";
import { startLocalProcess } from "../support/local-process.ts";

export interface Target {
  readonly name: "edgekeeper" | "zookeeper";
  /** `host:port` of the ZooKeeper protocol. */
  readonly address: string;
  /** Where a suite asks for its server to be killed, and started again. */
  readonly controlUrl: string;
  dispose(): Promise<void>;
}

/** The super user of kazoo's suite, password `test`, and of ZooKeeper's own. */
const superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

const zookeeperProperties = {
  "zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
  "zookeeper.extendedTypesEnabled": "true",
  "zookeeper.4lw.commands.whitelist": "*",
};

export async function startEdgekeeperTarget(): Promise<Target> {
  const local = await startLocalProcess(["--super-digest", superDigest]);
  return await makeTarget("edgekeeper", local.zkPort, {
    stop: () => local.kill9(),
    start: () => local.restart(),
    dispose: () => local.dispose(),
  });
}

/** `undefined` where there is no Java or Maven to have one. */
export async function startZooKeeperTarget(): Promise<Target | undefined> {
  const jars = findJars();
  if ("missing" in jars) return undefined;
  const system = await startZooKeeper(jars.classPath, 1, zookeeperProperties);
  return await makeTarget("zookeeper", system.addresses[0]?.port ?? 0, {
    stop: async () => system.killLeader?.(),
    start: async () => system.mend?.(),
    dispose: () => system.stop(),
  });
}

interface Server {
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

async function makeTarget(name: Target["name"], port: number, server: Server): Promise<Target> {
  const control = createServer((request, response) => {
    const action = request.url === "/stop" ? server.stop() : server.start();
    action.then(
      () => response.writeHead(204).end(),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  const at = control.address();
  if (at === null || typeof at === "string") throw new Error("a TCP listener has a port");
  return {
    name,
    address: `127.0.0.1:${port}`,
    controlUrl: `http://127.0.0.1:${at.port}`,
    async dispose() {
      control.closeAllConnections();
      control.close();
      await server.dispose();
    },
  };
}
