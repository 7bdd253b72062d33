/**
 * The flags of `npm run bench`: arguments in, options or a fault out. Pure.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { Address } from "./load/connection.ts";

export interface BenchOptions {
  /** The last line is JSON. */
  readonly json: boolean;
  /** A ZooKeeper that runs already. */
  readonly zookeeper: readonly Address[] | undefined;
  /** Of edgekeeper, and of a ZooKeeper that we start. */
  readonly members: number;
  readonly quick: boolean;
  /** Only measures whose name contains this. */
  readonly only: string | undefined;
  readonly repeats: number;
  /** Keeps the raw figures as `bench/results/<date>-<name>.json`. */
  readonly save: string | undefined;
}

export type ParsedBenchFlags =
  | { readonly kind: "run"; readonly options: BenchOptions }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "fault"; readonly message: string };

const membersMax = 9;
const repeatsMax = 100;
const quickRepeats = 1;
const fullRepeats = 5;

const help = `npm run bench -- [flags]

  --only NAME       only measures whose name contains NAME
  --quick           a short run of fewer measures: shows that it works, not how fast
  --repeats N       of every measure (${fullRepeats}; quick: ${quickRepeats})
  --members N       of edgekeeper, and of the ZooKeeper that is started (3)
  --zookeeper H:P   compare with a ZooKeeper that runs already; several with commas
  --save NAME       keep the raw figures in bench/results
  --json            end with one line of totals`;

export function parseBenchFlags(args: readonly string[]): ParsedBenchFlags {
  const read = readFlags(args);
  if (typeof read === "string") return { kind: "fault", message: read };
  if (read.help) return { kind: "help", text: help };
  const members = integerIn(read.members, 1, membersMax);
  if (members === undefined) return fault(`--members takes 1 to ${membersMax}, not "${read.members}"`);
  const wanted = read.repeats ?? String(read.quick ? quickRepeats : fullRepeats);
  const repeats = integerIn(wanted, 1, repeatsMax);
  if (repeats === undefined) return fault(`--repeats takes 1 to ${repeatsMax}, not "${wanted}"`);
  const zookeeper = read.zookeeper === undefined ? undefined : parseAddresses(read.zookeeper);
  if (read.zookeeper !== undefined && zookeeper === undefined) {
    return fault(`--zookeeper takes host:port, several with commas, not "${read.zookeeper}"`);
  }
  if (read.save !== undefined && !/^[a-z0-9][a-z0-9-]{0,63}$/.test(read.save)) {
    return fault(`--save takes a name of lower-case letters, digits and hyphens, not "${read.save}"`);
  }
  const { json, quick, only, save } = read;
  return { kind: "run", options: { json, zookeeper, members, quick, only, repeats, save } };
}

interface ReadFlags {
  readonly help: boolean;
  readonly json: boolean;
  readonly quick: boolean;
  readonly zookeeper: string | undefined;
  readonly members: string;
  readonly only: string | undefined;
  readonly repeats: string | undefined;
  readonly save: string | undefined;
}

/** A text is a fault. */
function readFlags(args: readonly string[]): ReadFlags | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        zookeeper: { type: "string" },
        members: { type: "string", default: "3" },
        only: { type: "string" },
        repeats: { type: "string" },
        save: { type: "string" },
      },
    });
    const { help, json, quick, zookeeper, members, only, repeats, save } = values;
    return { help, json, quick, zookeeper, members, only, repeats, save };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function fault(message: string): ParsedBenchFlags {
  return { kind: "fault", message };
}

function integerIn(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

/** `host:port[,...]`; an IPv6 host stands in brackets. */
function parseAddresses(text: string): readonly Address[] | undefined {
  const addresses: Address[] = [];
  for (const part of text.split(",")) {
    const found = /^(?:\[([\da-fA-F:]+)\]|([\w.-]+)):(\d{1,5})$/.exec(part);
    const port = Number(found?.[3]);
    const host = found?.[1] ?? found?.[2];
    if (host === undefined || !(port >= 1 && port <= 65_535)) return undefined;
    addresses.push({ host, port });
  }
  return addresses;
}
