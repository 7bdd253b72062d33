/**
 * The clients' part of `docs/compatibility.md`, from the results of each suite's last kept run.
 *
 * @module
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasonFor } from "./known.ts";
import type { Compared, Verdict } from "./suite.ts";

const rootPath = join(import.meta.dirname, "..", "..");
const pagePath = join(rootPath, "docs", "compatibility.md");
const [begin, end] = ["<!-- clients: begin, written by npm run test:clients -->", "<!-- clients: end -->"];

export interface SuiteResult {
  readonly name: string;
  readonly title: string;
  /** Without what the clients said: that is of the machine and the hour. */
  readonly cases: readonly Pick<Compared, "title" | "verdict">[];
}

function resultPath(name: string): string {
  return join(rootPath, "bench", "results", `clients-${name}.json`);
}

/** Keeps a suite's results for {@link writePage}. */
export function keepResult(result: SuiteResult): void {
  writeFileSync(resultPath(result.name), `${JSON.stringify(result, undefined, 1)}\n`);
}

/** What is kept of these suites, as far as it is. */
export function keptResults(names: readonly string[]): readonly SuiteResult[] {
  return names
    .map(resultPath)
    .filter((path) => existsSync(path))
    .map((path): SuiteResult => JSON.parse(readFileSync(path, "utf8")));
}

/** Puts what is kept of these suites where the last table was. */
export function writePage(names: readonly string[]): void {
  const page = readFileSync(pagePath, "utf8");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to === -1) throw new Error(`${pagePath} has no place for the clients`);
  writeFileSync(
    pagePath,
    `${page.slice(0, from)}${begin}\n\n${render(keptResults(names))}\n${page.slice(to)}`,
  );
}

export function render(results: readonly SuiteResult[]): string {
  const rows = results.map(({ title, cases }) => {
    const count = (verdict: Verdict) => cases.filter((each) => each.verdict === verdict).length;
    const counts = [count("passes"), count("passes here alone"), count("fails"), count("cannot run")];
    return `| ${[title, ...counts].join(" | ")} |`;
  });
  const failing = results.flatMap(({ name, cases }) =>
    cases
      .filter(({ verdict }) => verdict === "fails")
      .map(({ title }) => `| ${name} | \`${title}\` | ${reasonFor(name, title) ?? "**not explained**"} |`),
  );
  const differences =
    failing.length === 0
      ? ["No case passes on ZooKeeper and fails here."]
      : ["| client | case | why it fails here |", "| --- | --- | --- |", ...failing];
  return [
    "| client | pass on both | pass here alone | fail here alone | cannot run |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    ...differences,
    "",
  ].join("\n");
}
