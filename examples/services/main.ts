/**
 * Service discovery: two instances register, a client keeps the list of those that are well.
 *
 * @module
 */

import { connect } from "edgekeeper/client";
import { observeServices, registerService } from "edgekeeper/recipes";

const url = process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main";
const base = `/example-services-${Date.now()}`;
const name = "api";

await using zk = connect(url);
const stop = new AbortController();
const lists = observeServices(zk, base, name, { signal: stop.signal });

/** The next list of so many; those in between, while things change, are passed over. */
async function listOf(count: number): Promise<void> {
  for (;;) {
    const { value } = await lists.next();
    if (value === undefined) throw new Error("the list has ended");
    if (value.length !== count) continue;
    console.log(count, "well:", value.map(({ address, port }) => `${address}:${port}`).join(" "));
    return;
  }
}

const one = connect(url);
const two = connect(url);
await registerService(one, base, { name, id: "one", address: "10.0.0.1", port: 80 });
const second = await registerService(two, base, { name, id: "two", address: "10.0.0.2", port: 80 });
await listOf(2);

// It says itself that it is not well: listed no more, and back when it is.
await second.report("critical", "the disk is full");
await listOf(1);
await second.report("passing");
await listOf(2);

// A process ends, or is lost: its session takes the instance with it.
await one.close();
await listOf(1);

await second.close();
stop.abort();
await two.close();
for (const root of [base, `${base}.health`]) await zk.deleteTree(root);
