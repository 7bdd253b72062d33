/**
 * A client's own suite, or a scripted session where it has none that can run: played to us, and to a real
 * ZooKeeper beside us, so that a difference is ours.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Target } from "./targets.ts";

export type Outcome = "passed" | "failed" | "skipped";

export interface Case {
  readonly title: string;
  readonly outcome: Outcome;
  /** Why not. */
  readonly detail: string;
}

export interface Suite {
  /** As on the command line. */
  readonly name: string;
  /** Client and version, and whose cases they are. */
  readonly title: string;
  /** Clients are given an address per member. Default: one. */
  readonly everyMember?: boolean | undefined;
  /** Fetches and builds what it needs; answers what is missing on this machine. */
  prepare(): string | undefined;
  run(target: Target): Promise<readonly Case[]>;
}

/** Past this a suite counts as hung, and what it has not said is missing. */
const suiteTimeoutMs = 1_500_000;

interface Line {
  readonly case?: string;
  readonly outcome?: Outcome;
  readonly detail?: string;
}

/** Where a program runs, and for how long at most. */
export interface Run {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Default: `suiteTimeoutMs`. */
  readonly limitMs?: number | undefined;
}

/**
 * Runs a program that prints a JSON object per case: `case`, `outcome`, `detail`. Other lines are its own.
 *
 * @param run - `title` is of one more case, should the program fail or hang. Default: the suite runs to its end.
 */
export async function casesOf(
  program: string,
  args: readonly string[],
  run: Run & { readonly title?: string | undefined },
): Promise<readonly Case[]> {
  const cases: Case[] = [];
  const ended = await linesOf(program, args, run, (text) => {
    const line = parse(text);
    if (line?.case === undefined || line.outcome === undefined) return;
    cases.push({ title: line.case, outcome: line.outcome, detail: line.detail ?? "" });
  });
  if (ended.code === 0) return cases;
  const detail = `exit code ${ended.code}: ${ended.errors.slice(-1000)}`;
  return [...cases, { title: run.title ?? "the suite runs to its end", outcome: "failed", detail }];
}

/** Runs a program to its end, telling every line it prints. */
export async function linesOf(
  program: string,
  args: readonly string[],
  { limitMs = suiteTimeoutMs, ...where }: Run,
  onLine: (text: string) => void,
): Promise<{ code: number | null; errors: string }> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...where });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-20_000);
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const timer = setTimeout(kill, limitMs);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const text of createInterface({ input: child.stdout })) onLine(text);
  const code = await ended;
  clearTimeout(timer);
  process.off("exit", kill);
  return { code, errors };
}

function parse(text: string): Line | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the two runs of a case come to. */
export type Verdict =
  /** On both. */
  | "passes"
  /** Here alone it does not. */
  | "fails"
  /** Nowhere: it wants a server of its own, another set-up, or another ZooKeeper. */
  | "cannot run"
  /** Here alone it does. */
  | "passes here alone";

export interface Compared {
  readonly title: string;
  readonly verdict: Verdict;
  readonly detail: string;
}

/** @param theirs - `undefined`: there is no ZooKeeper on this machine to compare with. */
export function compare(ours: readonly Case[], theirs: readonly Case[] | undefined): Compared[] {
  const known = new Map(theirs?.map((each) => [each.title, each]));
  const compared = ours.map(({ title, outcome, detail }): Compared => {
    const passesThere = theirs === undefined || known.get(title)?.outcome === "passed";
    known.delete(title);
    if (outcome === "passed") return { title, verdict: passesThere ? "passes" : "passes here alone", detail };
    return { title, verdict: passesThere ? "fails" : "cannot run", detail };
  });
  // What we have not even begun.
  for (const { title, outcome } of known.values()) {
    const verdict = outcome === "passed" ? "fails" : "cannot run";
    compared.push({ title, verdict, detail: "it did not run here" });
  }
  return compared;
}
