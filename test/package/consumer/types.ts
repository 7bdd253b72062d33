/**
 * What a user of the package writes, as far as types go. Compiled by `test/package/package.test.ts` against the
 * packed package, never run.
 *
 * @module
 */

import { type Client, CreateMode, connect, isZkError, json, type Schema } from "edgekeeper/client";
import { connect as connectOnNode } from "edgekeeper/client/node";
import { DurableFence, formatToken } from "edgekeeper/guard";
import { Counter, lead } from "edgekeeper/recipes";
import { fakeEnsemble, startEnsemble } from "edgekeeper/testing";

declare const schema: Schema<{ ttl: number }>;

export async function use(zk: Client = connect("https://example.com/v1/main")): Promise<string> {
  await zk.create("/a", json({ ttl: 1 }), { mode: CreateMode.Ephemeral }).catch((error: unknown) => {
    if (!isZkError(error, "NodeExists")) throw error;
  });
  const { ttl } = await (await zk.get("/a")).json(schema);
  const { changed } = await zk.exists("/a", { watch: true });
  for await (const { kind, path } of zk.watch("/a", { subtree: true })) return `${kind} ${path} ${ttl}`;
  const flags = zk.config("/flags", { schema, initial: { ttl: 1 } });
  const lock = await zk.lock("/lock", { wait: "1s" });
  return `${flags.get().ttl} ${lock.token} ${(await changed).kind}`;
}

export const recipes = [Counter, lead, DurableFence, formatToken, connectOnNode];

export async function testing(): Promise<void> {
  const fake = fakeEnsemble();
  await use(fake.connect());
  await fake.advance("1m");
  const ensemble = await startEnsemble({ members: 3 });
  await ensemble.partition([await ensemble.leader()]);
  await ensemble.close();
}

// @ts-expect-error: paths are text.
connect("https://example.com/v1/main").get(1);
