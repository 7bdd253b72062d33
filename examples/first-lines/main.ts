/**
 * The first lines of every user: make a znode, read it, hear of its change.
 *
 * @module
 */

import { connect } from "edgekeeper/client";

await using zk = connect(process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main");

await zk.create("/test", "data");
const znode = await zk.get("/test", { watch: true });
console.log(znode.text);

await zk.set("/test", "more");
const event = await znode.changed;
console.log(event.kind, event.path);

await zk.delete("/test");
