/**
 * The command line of the search.
 *
 * @module
 */

import { beginnings, type Command, parseBeginning } from "./begin.ts";
import { type Bounds, boundMax, boundNames, noBounds } from "./bounds.ts";
import { parseConfiguration, serversMax, targetsMax } from "./configurations.ts";
import { scopes, setupOf, threeVoters, wideScopes } from "./scopes.ts";
import type { Limits } from "./search.ts";
import type { Setup } from "./world.ts";

/** Of a scope of one's own; a change needs something to change to. */
const defaults: Bounds = { ...noBounds, ...threeVoters.bounds, changes: 1 };

type Parsed =
  | {
      ok: true;
      searches: readonly { readonly name: string; readonly setup: Setup }[];
      limits: Limits;
      json: boolean;
      quiet: boolean;
      mutants: boolean;
    }
  | { ok: false; help: string };

const help = `usage: node test/explore/run.ts [--wide], or one scope of your own:
       node test/explore/run.ts [--voters 3] [--observers 0] [--BOUND n ...] [flags]
bounds, 0 to ${boundMax}: ${boundNames.map((name) => `--${name} ${defaults[name]}`).join(" ")}
members: --to 123,12+3   a leader may change the configuration to one of these: voters, and observers behind a plus
begin: --begin ${Object.keys(beginnings).join("|")}, or "lead 1, follow 2->1, settle, propose 1"
flags: --snapshots   every synchronization is a snapshot where one is possible
       --resumes     a leader that crashed goes on in its epoch
       --flow        one txn under way to a learner at a time, and its receipts
       --keep-dead   packets of ended sessions stay in their channels
       --no-symmetry states that differ in the names of servers count as different
       --recovers    tries in every state whether the ensemble gets on again once nothing fails any more
       --wide        changes of members further: a quarter of an hour
       --mutants     searches a core with a known mistake instead, for each of them
       --states-max n, --seconds-max n, --json, --quiet`;

export function parseArguments(args: readonly string[]): Parsed {
  const numbers = new Map<string, number>();
  const flags = new Set<string>();
  let begin: readonly Command[] | undefined = [];
  let targets: readonly string[] = [];
  let isOwn = false;
  for (let i = 0; i < args.length; i++) {
    const name = (args[i] ?? "").replace(/^--/, "");
    if (!about.includes(name)) isOwn = true;
    if (name === "begin") {
      i += 1;
      begin = parseBeginning(args[i] ?? "");
      if (begin === undefined) return { ok: false, help: `what is "${args[i]}"?\n${help}` };
    } else if (name === "to") {
      i += 1;
      targets = (args[i] ?? "").split(",");
      if (targets.length > targetsMax || targets.some((each) => parseConfiguration(each)?.name !== each))
        return { ok: false, help: `what is "${args[i]}"?\n${help}` };
    } else if (switches.includes(name)) {
      flags.add(name);
    } else if (counted.includes(name) && /^\d+$/.test(args[i + 1] ?? "")) {
      i += 1;
      numbers.set(name, Number(args[i]));
    } else {
      return { ok: false, help: `what is "${args[i]}"?\n${help}` };
    }
  }
  const bounds = { ...defaults };
  for (const name of boundNames) {
    bounds[name] = numbers.get(name) ?? defaults[name];
    if (bounds[name] > boundMax) return { ok: false, help: `--${name} is at most ${boundMax}\n${help}` };
  }
  const voters = numbers.get("voters") ?? 3;
  const observers = numbers.get("observers") ?? 0;
  if (voters < 1 || voters + observers > serversMax)
    return { ok: false, help: `there are 1 to ${serversMax} servers, one of them a voter\n${help}` };
  if (isOwn && flags.has("wide"))
    return { ok: false, help: `--wide has bounds of its own: not with a scope of yours\n${help}` };
  const own: Setup = {
    voters,
    observers,
    bounds,
    snapshots: flags.has("snapshots"),
    resumes: flags.has("resumes"),
    targets,
    flow: flags.has("flow"),
    keepDead: flags.has("keep-dead"),
    symmetry: !flags.has("no-symmetry"),
    recovers: flags.has("recovers"),
    begin,
  };
  const kept = (flags.has("wide") ? wideScopes : scopes).map((scope) => ({
    name: scope.name,
    setup: setupOf(scope),
  }));
  return {
    ok: true,
    searches: isOwn ? [{ name: "your own", setup: own }] : kept,
    limits: {
      statesMax: numbers.get("states-max") ?? Number.POSITIVE_INFINITY,
      secondsMax: numbers.get("seconds-max") ?? Number.POSITIVE_INFINITY,
    },
    json: flags.has("json"),
    quiet: flags.has("quiet"),
    mutants: flags.has("mutants"),
  };
}

/** How to search, and not what. */
const about = ["wide", "mutants", "json", "quiet", "states-max", "seconds-max"];
const switches = [
  ...about.slice(0, 4),
  "snapshots",
  "resumes",
  "flow",
  "keep-dead",
  "no-symmetry",
  "recovers",
];
const counted: readonly string[] = ["voters", "observers", "states-max", "seconds-max", ...boundNames];
