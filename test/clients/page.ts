/**
 * The clients' part of `docs/compatibility.md`, from the results of a run.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasonFor } from "./known.ts";
import type { Compared, Verdict } from "./suite.ts";

const pagePath = join(import.meta.dirname, "..", "..", "docs", "compatibility.md");
const [begin, end] = ["<!-- clients: begin, written by npm run test:clients -->", "<!-- clients: end -->"];

export interface SuiteResult {
  readonly name: string;
  readonly title: string;
  readonly cases: readonly Compared[];
}

/** Puts the results of this run where the last ones were. */
export function writePage(results: readonly SuiteResult[]): void {
  const page = readFileSync(pagePath, "utf8");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to === -1) throw new Error(`${pagePath} has no place for the clients`);
  writeFileSync(pagePath, `${page.slice(0, from)}${begin}\n\n${render(results)}\n${page.slice(to)}`);
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
