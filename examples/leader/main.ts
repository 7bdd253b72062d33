/**
 * A worker of which one at a time is active: the leader works, the other waits, and takes over when the leader is
 * gone.
 *
 * Three things make it safe: `signal` aborts before anybody else can lead, `token` proves whose turn it is,
 * and the transaction writes only while the leadership's own znode is there.
 *
 * @module
 */

import { connect } from "edgekeeper/client";
import { lead, leaderOf } from "edgekeeper/recipes";

const url = process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main";
const path = `/example-leader-${Date.now()}`;

/** Leads until it is told to stop, or its client is closed. */
async function start(id: string, signal: AbortSignal, began: () => void) {
  const zk = connect(url);
  const over = lead(zk, path, { id, signal }, async (leadership) => {
    console.log(`${id} leads`);
    await zk.transaction().check(leadership.contender).create(`${path}.${id}`, "was here").commit();
    began();
    await new Promise((stop) => AbortSignal.any([signal, leadership.signal]).addEventListener("abort", stop));
    console.log(`${id} stops`);
  });
  // Its own end is no news to it.
  return { zk, over: over.catch(() => undefined) };
}

const stop = new AbortController();
let aBegan: () => void = () => undefined;
let bBegan: () => void = () => undefined;
const aLeads = new Promise<void>((resolve) => {
  aBegan = resolve;
});
const bLeads = new Promise<void>((resolve) => {
  bBegan = resolve;
});

const a = await start("a", stop.signal, aBegan);
await aLeads;
const b = await start("b", stop.signal, bBegan);
console.log(`b sees ${(await leaderOf(b.zk, path))?.id}`);

// The machine of a is lost.
await a.zk.close();
await bLeads;
stop.abort();
await Promise.all([a.over, b.over]);
await Promise.all([path, `${path}.a`, `${path}.b`].map((each) => b.zk.deleteTree(each)));
await b.zk.close();
