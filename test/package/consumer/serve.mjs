// A user's own ensemble: `node serve.mjs COMMAND...` runs `client.mjs` against it with each command, such as
// "deno run -A".

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { startEnsemble } from "edgekeeper/testing";

const ensemble = await startEnsemble({ members: 1 });
const targets = [ensemble.url, ensemble.zookeeperUrl];
const said = [];
try {
  for (const command of process.argv.slice(2)) {
    const [program, ...args] = command.split(" ");
    const { stdout } = await promisify(execFile)(program, [...args, "client.mjs", ...targets], {
      timeout: 60_000,
    });
    said.push(JSON.parse(stdout));
  }
} finally {
  await ensemble.close();
}
console.log(JSON.stringify(said));
