/**
 * `node bench/page.ts [RESULTS.json]`: writes `docs/performance.md`, and the plots beside it, from a
 * results file; without one from the newest in `bench/results`, and if there is none a page that says so.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Kept, renderPage } from "./render.ts";
import type { Results, ScaleResults } from "./results.ts";

const root = join(import.meta.dirname, "..");
const resultsPath = join(root, "bench", "results");
const docsPath = join(root, "docs");

/** Others keep their figures there too: only those of a benchmark begin with a date, and have `field`. */
function newest(field: keyof Results | keyof ScaleResults): string | undefined {
  if (!existsSync(resultsPath)) return undefined;
  const names = readdirSync(resultsPath).filter((name) => /^\d{4}-\d\d-\d\d-.*\.json$/.test(name));
  const paths = names.toSorted().map((name) => join(resultsPath, name));
  return paths.findLast((each) => field in JSON.parse(readFileSync(each, "utf8")));
}

function read<Figures>(path: string | undefined): Kept<Figures> | undefined {
  if (path === undefined) return undefined;
  return { name: basename(path), results: JSON.parse(readFileSync(path, "utf8")) };
}

const source = read<Results>(process.argv[2] ?? newest("measures"));
if (source !== undefined && source.results.version !== 1)
  throw new Error(`${source.name} is not of version 1`);
const { markdown, plots } = renderPage(source, read<ScaleResults>(newest("sizes")));
const plotsPath = join(docsPath, "performance");
rmSync(plotsPath, { recursive: true, force: true });
if (plots.size > 0) mkdirSync(plotsPath);
for (const [name, svg] of plots) writeFileSync(join(plotsPath, name), svg);
writeFileSync(join(docsPath, "performance.md"), markdown);
