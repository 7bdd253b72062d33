/**
 * `ek export`: an ensemble's tree as JSON lines, or as a snapshot file that ZooKeeper loads.
 *
 * @module
 */

import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { formatLine } from "./migration/json-lines.ts";
import { copyLive } from "./migration/live-copy.ts";
import { writeSnapshot } from "./migration/snapshot-writer.ts";
import type { ZnodeRecord } from "./migration/znode-record.ts";
import { clientFor, parseFlags, progressLine, required, textOf, UsageError } from "./usage.ts";

const usage = `Usage: ek export --from TARGET [--lines FILE | --snapshot-dir DIR] [flags]

Reads the whole tree while it is used, and once more what changed meanwhile. Ephemeral znodes are left out.

TARGET              https://host/v1/main, or zookeeper://host:2181
--lines FILE        JSON lines, one znode each; without a file, on stdout
--snapshot-dir DIR  writes snapshot.<zxid> there: the version-2 directory of an empty ZooKeeper server
--auth A            scheme:credential to show, such as digest:super:secret ($EK_AUTH)
--token T           the deployment's token ($EK_TOKEN)`;

const flags = {
  from: { type: "string" },
  lines: { type: "string" },
  "snapshot-dir": { type: "string" },
  auth: { type: "string" },
  token: { type: "string" },
} as const;

export const exportCommand = { summary: "an ensemble's tree to files", usage, run };

async function run(args: readonly string[]): Promise<void> {
  const values = parseFlags(args, flags);
  const target = required(textOf(values, "from"), "from");
  const lines = textOf(values, "lines");
  const directory = textOf(values, "snapshot-dir");
  if (lines !== undefined && directory !== undefined) {
    throw new UsageError("name one of --lines and --snapshot-dir");
  }
  const line = progressLine();
  await using client = clientFor(
    target,
    textOf(values, "token", "EK_TOKEN"),
    textOf(values, "auth", "EK_AUTH"),
  );
  const onProgress = (count: number) => line.show(`read ${count} znodes`);
  const { records, ephemerals, isSettled, zxid } = await copyLive(client, { onProgress });
  line.end();
  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true });
    await writeSnapshot(join(directory, `snapshot.${zxid.toString(16)}`), records, zxid);
  } else if (lines !== undefined) {
    await writeLines(lines, records);
  } else {
    for (const record of records) console.log(formatLine(record));
  }
  if (!isSettled)
    console.error("The tree never stopped changing: parts of the export are from different moments");
  console.error(`${records.length} znodes, as of 0x${zxid.toString(16)}; ${ephemerals} ephemeral left out`);
}

/** Beside, then renamed: a file of that name is always whole. */
async function writeLines(path: string, records: readonly ZnodeRecord[]): Promise<void> {
  const file = createWriteStream(`${path}.partial`);
  for (const record of records) {
    if (!file.write(`${formatLine(record)}\n`)) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  await rename(`${path}.partial`, path);
}
