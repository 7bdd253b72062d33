/**
 * The two servers of a run, set up alike: the same tick, super user and kinds of znodes.
 *
 * @module
 */

import { findJars } from "../../bench/servers/jars.ts";
import { startZooKeeper } from "../../bench/servers/zookeeper.ts";
import { startLocalProcess } from "../support/local-process.ts";
import { Admin, superDigest } from "./admin.ts";
import { Names } from "./names.ts";
import { Player } from "./player.ts";

/** One of the two. */
export interface Side {
  readonly name: "edgekeeper" | "zookeeper";
  readonly admin: Admin;
  readonly names: Names;
  /** For one script. */
  player(): Player;
  /** The end of what its processes said. */
  said(): string;
  stop(): Promise<void>;
}

/** What edgekeeper has on by itself. The sweep is put off: what it takes away, it takes when it likes. */
export const zookeeperProperties = {
  "zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
  "zookeeper.extendedTypesEnabled": "true",
  "zookeeper.4lw.commands.whitelist": "*",
  "znode.container.checkIntervalMs": "100000000",
};

/** Both, or what is missing on this machine. */
export async function startSides(members: number): Promise<readonly [Side, Side] | { missing: string }> {
  const jars = findJars();
  if ("missing" in jars) return jars;
  const [ours, theirs] = await Promise.all([
    startLocalProcess(["--members", String(members), "--super-digest", superDigest, "--reconfig", "off"]),
    startZooKeeper(jars.classPath, members, zookeeperProperties),
  ]);
  const port = theirs.addresses[0]?.port ?? 0;
  return [
    await makeSide("edgekeeper", ours.zkPort, { said: () => ours.stderr, stop: () => ours.dispose() }),
    await makeSide("zookeeper", port, { said: () => theirs.said?.() ?? "", stop: () => theirs.stop() }),
  ];
}

async function makeSide(
  name: Side["name"],
  port: number,
  system: Pick<Side, "said" | "stop">,
): Promise<Side> {
  const [admin, names] = [await Admin.open(port), new Names()];
  return {
    name,
    admin,
    names,
    player: () => new Player(port, names, () => admin.newestZxid()),
    said: system.said,
    async stop() {
      admin.close();
      await system.stop();
    },
  };
}
