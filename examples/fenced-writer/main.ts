/**
 * A writer to R2 and D1 that cannot write late: the stores themselves refuse a token older than one they have
 * seen.
 *
 * The stores are Miniflare's here, so that it runs on any machine; in a Worker they are `env.BUCKET` and
 * `env.DB`, and nothing else changes.
 *
 * @module
 */

import { connect } from "edgekeeper/client";
import { D1Fence, fenceSchema, R2Fence, StaleToken } from "edgekeeper/guard";
import { Miniflare, type MiniflareOptions } from "miniflare";

const options: MiniflareOptions = {
  cf: false,
  telemetry: { enabled: false },
  workers: [
    {
      config: {
        name: "stores",
        compatibilityDate: "2026-10-01",
        manifest: {
          mainModule: "none.js",
          modules: { "none.js": { type: "esm", contents: "export default {}" } },
        },
        env: { BUCKET: { type: "r2", name: "reports" }, DB: { type: "d1", id: "jobs" } },
      },
    },
  ],
};
const stores = new Miniflare(options);
const bucket = await stores.getR2Bucket("BUCKET");
const database = await stores.getD1Database("DB");
await database.exec(fenceSchema);
await database.exec("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT)");

const url = process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main";
const path = `/example-fenced-${Date.now()}`;
const one = connect(url);
const two = connect(url);

async function write(text: string, token: bigint): Promise<void> {
  try {
    await new R2Fence(bucket).put("reports/42", text, token);
    const statement = database.prepare("INSERT OR REPLACE INTO jobs (id, state) VALUES (42, ?)").bind(text);
    await new D1Fence(database).batch("jobs/42", token, [statement]);
    console.log(`written: ${text}`);
  } catch (error) {
    if (!(error instanceof StaleToken)) throw error;
    console.log(`refused: ${text}`);
  }
}

const first = await one.lock(path);
await write("by the first holder", first.token);

// The first holder is lost for a moment: its session ends, and another one takes the lock.
await one.close();
const second = await two.lock(path);
await write("by the second holder", second.token);

// The first one is back, and does not know what it has missed.
await write("by the first holder, too late", first.token);

const stored = await bucket.get("reports/42");
const row = await database.prepare("SELECT state FROM jobs WHERE id = 42").first<{ state: string }>();
console.log(`R2: ${await stored?.text()}; D1: ${row?.state}`);

await second.release();
await two.deleteTree(path);
await two.close();
await stores.dispose();
