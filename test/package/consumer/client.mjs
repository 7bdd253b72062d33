// A user of the package on any Node from 20 on: `node client.mjs http://... zookeeper://...`.

import { connect, ZkError } from "edgekeeper/client";
import { connect as connectOnNode } from "edgekeeper/client/node";
import { Counter } from "edgekeeper/recipes";
import { fakeEnsemble } from "edgekeeper/testing";

const [, , ...targets] = process.argv;
const done = [];

async function exercise(zk, name) {
  await zk.createPath(`/${name}`);
  await zk.set(`/${name}`, "1");
  const { changed, text } = await zk.get(`/${name}`, { watch: true });
  const lock = await zk.lock("/lock");
  await zk.transaction().check(lock.contender).set(`/${name}`, "2").commit();
  await lock.release();
  const refused = await zk.create(`/${name}`).catch((error) => error instanceof ZkError && error.codeName);
  const count = await new Counter(zk, `/${name}/count`).add(2);
  done.push([name, text, (await changed).kind, refused, count].join(" "));
}

for (const [at, target] of targets.entries()) {
  const zk = (at % 2 === 0 ? connect : connectOnNode)(target);
  await exercise(zk, `target-${at}-${process.versions.node.split(".")[0]}`);
  await zk.close();
}
await exercise(fakeEnsemble().connect(), "fake");
console.log(JSON.stringify(done));
