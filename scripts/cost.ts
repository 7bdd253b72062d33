/**
 * `npm run cost -- [--reads-per-day N] [--writes-per-day N] [--kind update] [--batch 10] [--members 3]
 * [--stored-gb 0.1] [--http] [--keyed] [--awake 1]`
 *
 * What a month costs, from the model that `docs/cost.md` explains. `--table` prints that page's tables.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { billOf, daysPerMonth, rowsPerKey, rowsPerWrite, type Usage, type WriteKind } from "./cost-model.ts";

const kinds: readonly WriteKind[] = ["update", "create", "delete", "lock", "session"];

/** A fault, in words for whoever typed. */
class UsageError extends Error {}

function main(): number {
  try {
    const { values } = parseArgs({
      options: {
        "reads-per-day": { type: "string", default: "100000" },
        "writes-per-day": { type: "string", default: "10000" },
        kind: { type: "string", default: "update" },
        batch: { type: "string", default: "10" },
        members: { type: "string", default: "3" },
        "stored-gb": { type: "string", default: "0.1" },
        awake: { type: "string", default: "1" },
        http: { type: "boolean", default: false },
        keyed: { type: "boolean", default: false },
        table: { type: "boolean", default: false },
      },
    });
    if (values.table) {
      for (const line of tables()) console.log(line);
      return 0;
    }
    const kind = kinds.find((known) => known === values.kind);
    if (kind === undefined) throw new UsageError(`--kind takes ${kinds.join(", ")}, not "${values.kind}"`);
    const usage: Usage = {
      members: numberIn("members", values.members, 1, 7),
      readsPerDay: numberIn("reads-per-day", values["reads-per-day"], 0, 1e12),
      writesPerDay: numberIn("writes-per-day", values["writes-per-day"], 0, 1e12),
      kind,
      keyed: values.keyed,
      batch: numberIn("batch", values.batch, 1, 10_000),
      storedGb: numberIn("stored-gb", values["stored-gb"], 0, 10),
      awake: numberIn("awake", values.awake, 0, 1),
      websocket: !values.http,
    };
    for (const line of linesOf(usage)) console.log(line);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
}

function numberIn(name: string, text: string, min: number, max: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name} takes ${min} to ${max}, not "${text}"`);
}

function linesOf(usage: Usage): readonly string[] {
  const { lines, listUsd, billUsd } = billOf(usage);
  const rowsEach = rowsPerWrite(usage.kind, usage.batch) + (usage.keyed ? rowsPerKey(usage.batch) : 0);
  return [
    `rows written per write and member  ${rowsEach.toFixed(3)}`,
    `requests   ${dollars(lines.requests)}`,
    `rows       ${dollars(lines.rows)}`,
    `awake      ${dollars(lines.awake)}`,
    `storage    ${dollars(lines.storage)}`,
    `at list price      ${dollars(listUsd)} a month`,
    `on the paid plan   ${dollars(billUsd)} a month, $5 of it the plan's own price`,
  ];
}

function dollars(usd: number): string {
  return `$${usd.toFixed(2)}`;
}

/** One write for nine reads, ten writes to a batch, awake all month unless nobody asks. */
function usageOf(requestsPerDay: number, given: Partial<Usage> = {}): Usage {
  return {
    members: 3,
    readsPerDay: 0.9 * requestsPerDay,
    writesPerDay: 0.1 * requestsPerDay,
    kind: "update",
    keyed: false,
    batch: 10,
    storedGb: 0.1,
    websocket: true,
    awake: requestsPerDay === 0 ? 0 : 1,
    ...given,
  };
}

/** FaaSKeeper, of the shape of ZooKeeper on functions: USD per write of small data, as published. */
const faaskeeperPerWrite = 1.1 / 100_000;

function tables(): readonly string[] {
  const rows = kinds.map(
    (kind) => `| ${kind} | ${[1, 10, 64].map((batch) => rowsPerWrite(kind, batch).toFixed(2)).join(" | ")} |`,
  );
  const volumes = [0, 100_000, 1_000_000, 5_000_000].map((perDay) => {
    const bills = [
      usageOf(perDay),
      usageOf(perDay, { members: 1 }),
      usageOf(perDay, { websocket: false }),
      usageOf(perDay, { kind: "create", batch: 1 }),
    ].map((usage) => dollars(billOf(usage).billUsd));
    const faaskeeper = dollars(0.1 * perDay * daysPerMonth * faaskeeperPerWrite);
    return `| ${(perDay / 1e6).toLocaleString("en")} M | ${bills.join(" | ")} | ${faaskeeper} |`;
  });
  return [
    "| write | 1 at a time | 10 | 64 |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    "| requests a day | three members | one member | three, clients on HTTP | three, every write a fresh znode, alone | FaaSKeeper, writes only |",
    "| --- | --- | --- | --- | --- | --- |",
    ...volumes,
  ];
}

process.exitCode = main();
