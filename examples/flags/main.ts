/**
 * Feature flags in a browser page, live: `npx node examples/flags/main.ts`, then change the znode.
 *
 * With `--check` nobody has to look: the page's own script runs on a document of a few lines, and prints what
 * it shows. Not shown that way: a browser's layout, and its `EventSource`, of which reading the stream stands in.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { connect, isZkError, json } from "edgekeeper/client";
import { openPage } from "./check.ts";
import { flagsApp } from "./flags.ts";

const isCheck = process.argv.includes("--check");
const path = isCheck ? `/example-flags-${Date.now()}` : "/flags";
const page = readFileSync(new URL("page.html", import.meta.url), "utf8");

const zk = connect(process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main");
await zk.create(path, json({ darkMode: false })).catch((error: unknown) => {
  if (!isZkError(error, "NodeExists")) throw error;
});
const app = flagsApp(zk, path, page);

const server = createServer(async (incoming, outgoing) => {
  const closed = new AbortController();
  outgoing.on("close", () => closed.abort());
  const request = new Request(`http://localhost${incoming.url}`, { signal: closed.signal });
  const response = await app.fetch(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) outgoing.end();
  else Readable.fromWeb(response.body).pipe(outgoing);
});
server.listen(isCheck ? 0 : 8080, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  if (!isCheck) return console.log(`open ${url}, then change the flags of ${path}`);
  await using shown = await openPage(url);
  console.log(await shown.until("darkMode: off"));
  await zk.set(path, json({ darkMode: true, checkout: false }));
  console.log(await shown.until("darkMode: on, checkout: off"));
  await zk.delete(path);
  await zk.close();
  server.closeAllConnections();
  server.close();
});
