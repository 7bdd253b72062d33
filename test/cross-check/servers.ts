/**
 * The two servers of a run, set up alike: the same members, tick, super user, quotas and kinds of znodes.
 *
 * @module
 */

import { findJars } from "../../bench/servers/jars.ts";
import { startZooKeeper } from "../../bench/servers/zookeeper.ts";
import { startGateway } from "../../src/gateway/index.ts";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";
import { Admin, configPath, superDigest } from "./admin.ts";
import { Names } from "./names.ts";
import { type Place, Player } from "./player.ts";

/** One of the two. */
export interface Side {
  readonly name: "edgekeeper" | "zookeeper";
  /** At the first member. */
  readonly admin: Admin;
  readonly names: Names;
  /** For one script. */
  player(): Player;
  /** The end of what its processes said. */
  said(): string;
  stop(): Promise<void>;
}

/** What edgekeeper has on by itself. The sweep is put off: what it takes away, it takes when it likes. */
const zookeeperProperties = {
  "zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
  "zookeeper.extendedTypesEnabled": "true",
  "zookeeper.4lw.commands.whitelist": "*",
  "zookeeper.enforceQuota": "true",
  "znode.container.checkIntervalMs": "100000000",
};

/** Both, or what is missing on this machine. */
export async function startSides(members: number): Promise<readonly [Side, Side] | { missing: string }> {
  const jars = findJars();
  if ("missing" in jars) return jars;
  // A ZooKeeper alone takes no reconfig, whatever it is set to.
  const hasReconfig = members > 1;
  const flags = ["--super-digest", superDigest, "--enforce-quota", "on"];
  const [ours, theirs] = await Promise.all([
    startLocalProcess(["--members", String(members), ...flags, "--reconfig", hasReconfig ? "on" : "off"]),
    startZooKeeper(jars.classPath, members, zookeeperProperties, [`reconfigEnabled=${hasReconfig}`]),
  ]);
  const gateways = await openGateways(ours, members);
  return [
    await makeSide("edgekeeper", [...gateways.keys()], {
      said: () => ours.stderr,
      async stop() {
        await Promise.all([...gateways.values()].map((close) => close()));
        await ours.dispose();
      },
    }),
    await makeSide(
      "zookeeper",
      theirs.addresses.map(({ port }) => port),
      { said: () => theirs.said?.() ?? "", stop: () => theirs.stop() },
    ),
  ];
}

/** A port per member, and how to close it; of a single one its own. */
async function openGateways(
  ours: LocalProcess,
  members: number,
): Promise<ReadonlyMap<number, () => Promise<void>>> {
  if (members === 1) return new Map([[ours.zkPort, async () => undefined]]);
  const ids = Array.from({ length: members }, (_, index) => String(index + 1));
  const gateways = await Promise.all(
    ids.map((member) =>
      startGateway({
        ...{ listenHost: "127.0.0.1", listenPort: 0, url: ours.url, ensemble: "main", member },
        ...{ maxConnectionsPerAddress: 0, fourLetterWords: "*" },
      }),
    ),
  );
  return new Map(gateways.map((gateway) => [gateway.port, () => gateway.close()]));
}

async function makeSide(
  name: Side["name"],
  ports: readonly number[],
  system: Pick<Side, "said" | "stop">,
): Promise<Side> {
  const admins = await Promise.all(ports.map((port) => Admin.open(port)));
  const [admin] = admins;
  if (admin === undefined) throw new Error("there is no member");
  const names = new Names();
  names.configLength = (await admin.stat(configPath)).dataLength;
  const places = ports.map((port, index): Place => ({ port, settle: () => settle(admins, index) }));
  return {
    name,
    admin,
    names,
    player: () => new Player(places, names, () => admin.newestZxid()),
    said: system.said,
    async stop() {
      for (const each of admins) each.close();
      await system.stop();
    },
  };
}

/** Whoever looks at one of several members sees, and has been told, all that was committed at another. */
async function settle(admins: readonly Admin[], index: number): Promise<void> {
  if (admins.length > 1) await admins[index]?.newestZxid();
}
