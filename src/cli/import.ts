/**
 * `ek import`: a tree from ZooKeeper's files, from a live server or from an export, into an ensemble.
 *
 * @module
 */

import { createReadStream, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { FileFault } from "./migration/byte-window.ts";
import { linesOf, parseLine } from "./migration/json-lines.ts";
import { copyLive } from "./migration/live-copy.ts";
import { type WriteProgress, writeTree } from "./migration/write-tree.ts";
import type { ZnodeRecord } from "./migration/znode-record.ts";
import { loadDataDirectory, loadSnapshotFile } from "./migration/zookeeper-files.ts";
import {
  choice,
  clientFor,
  parseFlags,
  progressLine,
  required,
  textOf,
  UsageError,
  type Values,
} from "./usage.ts";

const usage = `Usage: ek import --to TARGET SOURCE [flags]

Creates what the source has, below the same paths. Data, ACLs, containers and TTLs are kept; ephemeral
znodes are left out, because their sessions do not move. Zxids, versions, times and the numbers of
sequential znodes begin anew. Run again after an interruption: what is there already is not written twice.

TARGET            https://host/v1/main, or zookeeper://host:2181
SOURCE, one of
  --data-dir DIR  a stopped ZooKeeper's version-2 directory: its newest snapshot and the logs behind it
  --log-dir DIR   where its logs are, when that is another directory
  --snapshot FILE one snapshot file by itself
  --from TARGET   a live server, ZooKeeper or edgekeeper
  --lines FILE    an export of ek export
--if-different    fail (default), keep or overwrite what is there with other data or another ACL
--progress FILE   remembers how far it came, so that the next run need not look again
--auth A          scheme:credential shown to the target, such as digest:super:secret ($EK_AUTH)
--from-auth A     the same for a live source ($EK_FROM_AUTH)
--token T         the target's token ($EK_TOKEN)`;

const flags = {
  to: { type: "string" },
  "data-dir": { type: "string" },
  "log-dir": { type: "string" },
  snapshot: { type: "string" },
  from: { type: "string" },
  lines: { type: "string" },
  "if-different": { type: "string" },
  progress: { type: "string" },
  auth: { type: "string" },
  "from-auth": { type: "string" },
  token: { type: "string" },
} as const;

const sources = ["data-dir", "snapshot", "from", "lines"] as const;

interface Loaded {
  readonly records: readonly ZnodeRecord[];
  /** What it is, so that another source's progress is not taken for this one's. */
  readonly identity: string;
  /** For people. */
  readonly summary: string;
}

export const importCommand = { summary: "a tree from ZooKeeper into an ensemble", usage, run };

async function run(args: readonly string[]): Promise<void> {
  const values = parseFlags(args, flags);
  const target = required(textOf(values, "to"), "to");
  const ifDifferent = choice(textOf(values, "if-different"), "if-different", ["fail", "keep", "overwrite"]);
  const line = progressLine();
  await using client = clientFor(
    target,
    textOf(values, "token", "EK_TOKEN"),
    textOf(values, "auth", "EK_AUTH"),
  );
  const { records, identity, summary } = await load(values, (count) => line.show(`read ${count} znodes`));
  line.end();
  console.error(summary);
  const mark = new ProgressMark(textOf(values, "progress"), identity);
  const progress = await writeTree(client, records, {
    ifDifferent,
    after: mark.after,
    onProgress: (soFar, through) => {
      line.show(`${describe(soFar)} of ${records.length}`);
      mark.set(through);
    },
  });
  line.end();
  mark.finish();
  console.log(describe(progress));
}

function describe({ created, same, kept, overwritten }: WriteProgress): string {
  const parts = [`${created} created`];
  if (same > 0) parts.push(`${same} there already`);
  if (kept > 0) parts.push(`${kept} kept as they were`);
  if (overwritten > 0) parts.push(`${overwritten} overwritten`);
  return parts.join(", ");
}

async function load(values: Values, onProgress: (znodes: number) => void): Promise<Loaded> {
  const given = sources.filter((source) => textOf(values, source) !== undefined);
  const [source] = given;
  if (source === undefined || given.length > 1) {
    throw new UsageError("name one source: --data-dir, --snapshot, --from or --lines");
  }
  const where = required(textOf(values, source), source);
  if (textOf(values, "log-dir") !== undefined && source !== "data-dir") {
    throw new UsageError("--log-dir goes with --data-dir");
  }
  try {
    switch (source) {
      case "data-dir":
        return loadedFiles(where, await loadDataDirectory(where, textOf(values, "log-dir") ?? where));
      case "snapshot":
        return loadedFiles(where, await loadSnapshotFile(where));
      case "from":
        return await loadLive(where, values, onProgress);
      case "lines":
        return await loadLines(where);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
      throw new FileFault(`Cannot read "${where}": there is no such file or directory`);
    }
    throw error;
  }
}

function loadedFiles(where: string, tree: Awaited<ReturnType<typeof loadDataDirectory>>): Loaded {
  const zxid = `0x${tree.zxid.toString(16)}`;
  const summary =
    `${tree.records.length} znodes as of ${zxid}, after ${tree.txns} logged txns; ` +
    `${tree.ephemerals} ephemeral left out`;
  return { records: tree.records, identity: `${where} ${zxid}`, summary };
}

async function loadLive(
  where: string,
  values: Values,
  onProgress: (znodes: number) => void,
): Promise<Loaded> {
  await using source = clientFor(where, undefined, textOf(values, "from-auth", "EK_FROM_AUTH"));
  const { records, ephemerals, isSettled } = await copyLive(source, { onProgress });
  const warning = isSettled ? "" : "; it never stopped changing, so parts of it are from different moments";
  const summary = `${records.length} znodes read, ${ephemerals} ephemeral left out${warning}`;
  return { records, identity: where, summary };
}

async function loadLines(where: string): Promise<Loaded> {
  const records: ZnodeRecord[] = [];
  let number = 0;
  for await (const text of linesOf(createReadStream(where, { encoding: "utf8" }))) {
    number += 1;
    if (text.trim() !== "") records.push(parseLine(text, number));
  }
  records.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { records, identity: where, summary: `${records.length} znodes read` };
}

/** How far an import came, in a file that is always whole. */
class ProgressMark {
  readonly #path: string | undefined;
  readonly #identity: string;
  readonly after: string | undefined;

  constructor(path: string | undefined, identity: string) {
    this.#path = path;
    this.#identity = identity;
    this.after = path === undefined || !existsSync(path) ? undefined : this.#read(path);
  }

  set(through: string): void {
    if (this.#path === undefined) return;
    const beside = `${this.#path}.partial`;
    writeFileSync(beside, JSON.stringify({ source: this.#identity, through }));
    renameSync(beside, this.#path);
  }

  /** The next run looks at everything again, which costs only time. */
  finish(): void {
    this.set("");
  }

  #read(path: string): string | undefined {
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, "utf8"));
    } catch {
      throw new FileFault(`Cannot read "${path}": it is no progress file, name another`);
    }
    const { source, through }: Partial<Record<string, unknown>> =
      typeof value === "object" && value !== null ? { ...value } : {};
    if (source !== this.#identity || typeof through !== "string") {
      throw new FileFault(`Cannot use "${path}": it belongs to another import, name another file`);
    }
    return through === "" ? undefined : through;
  }
}
