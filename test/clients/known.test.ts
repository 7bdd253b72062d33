/**
 * Proves that a reason is given for cases that fail, and for no others.
 *
 * @module
 */

import { expect, test } from "vitest";
import { reasonFor, staleReasons } from "./known.ts";
import { keptResults } from "./page.ts";
import { suites } from "./suites.ts";

const kept = keptResults(suites.map(({ name }) => name));

test("every case that failed in a kept run has its reason", () => {
  const failed = kept.flatMap(({ name, cases }) =>
    cases.filter(({ verdict }) => verdict === "fails").map(({ title }) => ({ name, title })),
  );
  expect(failed.filter(({ name, title }) => reasonFor(name, title) === undefined)).toEqual([]);
});

test("no reason is out of date in a kept run", () => {
  expect(kept.flatMap(({ name, cases }) => staleReasons(name, cases))).toEqual([]);
});

test("a case that is said to fail and passes, or is not there, is out of date", () => {
  const title = "FourLetterWordsTest.testFourLetterWords";
  expect(staleReasons("java", [{ title, verdict: "fails" }])).toEqual([]);
  expect(staleReasons("java", [{ title, verdict: "passes" }])).toEqual([title]);
  expect(staleReasons("java", [])).toEqual([title]);
});

test("one that fails now and then is not", () => {
  expect(reasonFor("go", "TestIntegration_DNSHostProviderReconnect")).toBeDefined();
  expect(staleReasons("go", [])).toEqual([]);
});
