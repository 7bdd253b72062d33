/**
 * A cron job that three machines start and one does.
 *
 * The day is the key: whoever comes first does the work under a lock, and says so in a znode that stays. One
 * that dies at work leaves it to the next.
 *
 * @module
 */

import { connect } from "edgekeeper/client";
import { once } from "edgekeeper/recipes";

const url = process.env["EK_URL"] ?? "http://127.0.0.1:8787/v1/main";
// A job of each run of this example; yours is the day: `new Date().toISOString().slice(0, 10)`.
const key = `run-${Date.now()}`;

async function cron(machine: string): Promise<void> {
  await using zk = connect(url);
  const result = await once(
    zk,
    "/jobs/report",
    key,
    async ({ signal }) => {
      signal.throwIfAborted();
      console.log("the report is sent");
      return `sent by ${machine}`;
    },
    { remember: "1h" },
  );
  if (result.kind === "doneBefore") console.log("nothing to do");
}

await Promise.all(["a", "b", "c"].map(cron));
