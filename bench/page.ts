/**
 * `node bench/page.ts [RESULTS.json]`: writes `docs/performance.md`, and the plots beside it, from a
 * results file; without one from the newest in `bench/results`, and if there is none a page that says so.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { renderPage } from "./render.ts";
import type { Results } from "./results.ts";

const root = join(import.meta.dirname, "..");
const resultsPath = join(root, "bench", "results");
const docsPath = join(root, "docs");

function newest(): string | undefined {
  if (!existsSync(resultsPath)) return undefined;
  // Others keep their figures there too; only those of a benchmark begin with a date and have measures.
  const names = readdirSync(resultsPath).filter((name) => /^\d{4}-\d\d-\d\d-.*\.json$/.test(name));
  const paths = names.toSorted().map((name) => join(resultsPath, name));
  return paths.findLast((each) => "measures" in JSON.parse(readFileSync(each, "utf8")));
}

function read(path: string): Results {
  const results: Results = JSON.parse(readFileSync(path, "utf8"));
  if (results.version !== 1) throw new Error(`${basename(path)} is not of version 1`);
  return results;
}

const path = process.argv[2] ?? newest();
const source = path === undefined ? undefined : { name: basename(path), results: read(path) };
const { markdown, plots } = renderPage(source);
const plotsPath = join(docsPath, "performance");
rmSync(plotsPath, { recursive: true, force: true });
if (plots.size > 0) mkdirSync(plotsPath);
for (const [name, svg] of plots) writeFileSync(join(plotsPath, name), svg);
writeFileSync(join(docsPath, "performance.md"), markdown);
