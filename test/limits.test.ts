/**
 * `docs/limits.md` tells the bounds that the code has: every constant it names is where it says, and as large.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const units: Readonly<Record<string, number>> = { Ki: 1024, KiB: 1024, MiB: 1024 * 1024 };

interface Row {
  readonly limit: string;
  readonly name: string;
  readonly path: string;
}

function rowsOf(page: string): Row[] {
  return [...page.matchAll(/^\|.*\| ([^|]+) \|[^|]+\| `(\w+)`, `([\w./-]+)` \|$/gm)].map(
    ([, limit = "", name = "", path = ""]) => ({ limit, name, path }),
  );
}

/** `4 MiB`, `1,000`, `60,000 ms`. */
function readLimit(limit: string): number {
  const [, digits = "", unit = ""] = /^([\d,]+)(?: (\w+))?$/.exec(limit) ?? [];
  return Number(digits.replaceAll(",", "")) * (units[unit] ?? 1);
}

/** What a constant is set to: numbers, perhaps multiplied. */
function readConstant(source: string, name: string): number {
  const [, expression = ""] = new RegExp(`^(?:export )?const ${name} = ([\\d_ *]+);`, "m").exec(source) ?? [];
  return expression
    .split("*")
    .map((factor) => Number(factor.trim().replaceAll("_", "") || Number.NaN))
    .reduce((product, factor) => product * factor, 1);
}

const rows = rowsOf(readFileSync(join(root, "docs", "limits.md"), "utf8"));

describe("limits: what the page says is what the code does", () => {
  test("the page has its rows", () => expect(rows.length).toBeGreaterThan(35));

  test.each(rows)("$name of $path is $limit", ({ limit, name, path }) => {
    expect(readConstant(readFileSync(join(root, path), "utf8"), name)).toBe(readLimit(limit));
  });

  test("a constant that is not there, or is another, is seen", () => {
    expect(readConstant("const aMax = 2 * 1024;", "bMax")).toBeNaN();
    expect(readConstant("export const aMax = 2_000 * 3;", "aMax")).toBe(6_000);
    expect(readLimit("4 MiB")).toBe(4_194_304);
  });
});
