/**
 * `npm start` with another Worker: `node bench/servers/host.ts ENTRY MEMBERS --data D --port P --zk-port Z`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { startLocal } from "../../src/local/index.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: "" },
    port: { type: "string", default: "0" },
    "zk-port": { type: "string", default: "0" },
  },
});
const [workerEntryPath, members] = positionals;

const ensemble = await startLocal({
  host: "127.0.0.1",
  port: Number(values.port),
  zkPort: Number(values["zk-port"]),
  data: values.data,
  vars: { EK_OPEN_ON_LOOPBACK: "on", EK_MEMBERS: members ?? "3" },
  log: (line) => console.error(line),
  workerEntryPath,
});
process.removeAllListeners("SIGTERM");
process.once("SIGTERM", () => {
  ensemble.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
console.log(`ready ${ensemble.url} zookeeper://127.0.0.1:${ensemble.zkPort}`);
