/**
 * The servers that a client's suite runs against: ours, and a real ZooKeeper beside it, set up alike.
 *
 * Suites that kill and start their servers ask for it by HTTP: `POST /stop` turns every client out, as a killed
 * leader does; after `POST /stop-first` it is the first address alone that nobody listens at; `POST /start`
 * mends either, and does nothing where nothing is to be mended.
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:http";
import { findJars } from "../../bench/servers/jars.ts";
import { startZooKeeper } from "../../bench/servers/zookeeper.ts";
import { startGateway } from "../../src/gateway/index.ts";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";

export interface Target {
  readonly name: "edgekeeper" | "zookeeper";
  /** `host:port` of the ZooKeeper protocol; with several members, a comma list of them. */
  readonly address: string;
  /** Where a suite asks for its server, the first of several, to be killed, and started again. */
  readonly controlUrl: string;
  dispose(): Promise<void>;
}

/** The super user of kazoo's suite, password `test`, and of ZooKeeper's own. */
export const superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

const zookeeperProperties = {
  "zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
  "zookeeper.extendedTypesEnabled": "true",
  "zookeeper.4lw.commands.whitelist": "*",
};

const memberIds = [1, 2, 3];

/** @param everyMember - An address per member; otherwise one for all of them, which is the leader's. */
export async function startEdgekeeperTarget(everyMember: boolean): Promise<Target> {
  const local = await startLocalProcess(["--members", "3", "--super-digest", superDigest]);
  if (everyMember) return await startMemberTarget(local);
  return await makeTarget("edgekeeper", [local.zkPort], {
    stop: () => local.kill9(),
    start: () => local.restart(),
    dispose: () => local.dispose(),
  });
}

/** A gateway per member. One member alone cannot be killed here: either all are, or the first one's gateway goes. */
async function startMemberTarget(local: LocalProcess): Promise<Target> {
  const open = (id: number, listenPort: number) =>
    startGateway({
      listenHost: "127.0.0.1",
      listenPort,
      url: local.url,
      ensemble: "main",
      member: String(id),
      maxConnectionsPerAddress: 0,
      fourLetterWords: "*",
    });
  const gateways = await Promise.all(memberIds.map((id) => open(id, 0)));
  const [first] = gateways;
  if (first === undefined) throw new Error("there is no member");
  let killed = false;
  return await makeTarget(
    "edgekeeper",
    gateways.map(({ port }) => port),
    {
      async stop() {
        killed = true;
        await local.kill9();
      },
      stopFirst: () => gateways[0]?.close() ?? Promise.resolve(),
      async start() {
        if (killed) await local.restart();
        else gateways[0] = await open(1, first.port);
        killed = false;
      },
      async dispose() {
        await Promise.all(gateways.map((gateway) => gateway.close()));
        await local.dispose();
      },
    },
  );
}

/** `undefined` where there is no Java or Maven to have one. */
export async function startZooKeeperTarget(everyMember: boolean): Promise<Target | undefined> {
  const jars = findJars();
  if ("missing" in jars) return undefined;
  const system = await startZooKeeper(
    jars.classPath,
    everyMember ? memberIds.length : 1,
    zookeeperProperties,
  );
  const ports = system.addresses.map(({ port }) => port);
  return await makeTarget("zookeeper", ports, {
    stop: async () => system.killLeader?.(),
    start: async () => system.mend?.(),
    dispose: () => system.stop(),
  });
}

interface Server {
  stop(): Promise<void>;
  /** As {@link stop} unless there is a way of its own. */
  stopFirst?(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

function performAction(server: Server, url: string | undefined): Promise<void> {
  switch (url) {
    case "/stop":
      return server.stop();
    case "/stop-first":
      return server.stopFirst?.() ?? server.stop();
    case "/start":
      return server.start();
    default:
      return Promise.reject(new Error(`there is no "${url}" here`));
  }
}

async function makeTarget(name: Target["name"], ports: readonly number[], server: Server): Promise<Target> {
  let isStopped = false;
  const control = createServer((request, response) => {
    // Whoever cannot know whether the server was left stopped may start it.
    const isNeeded = request.url !== "/start" || isStopped;
    const action = isNeeded ? performAction(server, request.url) : Promise.resolve();
    isStopped = request.url !== "/start";
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
    address: ports.map((port) => `127.0.0.1:${port}`).join(","),
    controlUrl: `http://127.0.0.1:${at.port}`,
    async dispose() {
      control.closeAllConnections();
      control.close();
      await server.dispose();
    },
  };
}
