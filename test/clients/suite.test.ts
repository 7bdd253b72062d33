/**
 * Proves that a case which passes on ZooKeeper and not here is never called anything but failing.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { render } from "./page.ts";
import { type Case, compare, type Outcome, type Verdict } from "./suite.ts";

function cases(...outcomes: readonly (readonly [title: string, outcome: Outcome])[]): Case[] {
  return outcomes.map(([title, outcome]) => ({ title, outcome, detail: `${title} ${outcome}` }));
}

describe("compare()", () => {
  test.each<[Outcome, Outcome, Verdict]>([
    ["passed", "passed", "passes"],
    ["passed", "failed", "passes here alone"],
    ["passed", "skipped", "passes here alone"],
    ["failed", "passed", "fails"],
    ["skipped", "passed", "fails"],
    ["failed", "failed", "cannot run"],
    ["failed", "skipped", "cannot run"],
    ["skipped", "skipped", "cannot run"],
  ])("%s here and %s there: %s", (ours, theirs, verdict) => {
    expect(compare(cases(["a", ours]), cases(["a", theirs]))).toMatchObject([{ title: "a", verdict }]);
  });

  test("what has not run here fails if it passes there", () => {
    const compared = compare(
      cases(["a", "passed"]),
      cases(["a", "passed"], ["b", "passed"], ["c", "failed"]),
    );
    expect(compared.map(({ title, verdict }) => `${title} ${verdict}`)).toEqual([
      "a passes",
      "b fails",
      "c cannot run",
    ]);
  });

  test("without a ZooKeeper everything is expected to pass", () => {
    expect(compare(cases(["a", "passed"], ["b", "failed"]), undefined).map(({ verdict }) => verdict)).toEqual(
      ["passes", "fails"],
    );
  });
});

test("render() counts, and names what fails here alone", () => {
  const compared = compare(
    cases(["a", "passed"], ["b", "failed"], ["c", "failed"]),
    cases(["a", "passed"], ["b", "passed"], ["c", "failed"]),
  );
  const page = render([{ name: "x", title: "Client x", cases: compared }]);
  expect(page).toContain("| Client x | 1 | 0 | 1 | 1 |");
  expect(page).toContain("| x | `b` | **not explained** |");
});
