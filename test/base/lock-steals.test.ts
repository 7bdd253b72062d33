/** Proves what the record of steals keeps, and that it is bounded. */

import { expect, test } from "vitest";
import { type Steal, stealsMax, stealTextMax, withSteal } from "../../src/base/lock-steals.ts";

const steal = (by: string): Steal => ({ token: "0x7", owner: "a", by, reason: "hangs", at: "" });

function listOf(count: number): string {
  let list = "";
  for (let n = 1; n <= count; n++) list = withSteal(list, steal(String(n)));
  return list;
}

test("steals are kept in order, as many as may be; then the oldest goes", () => {
  const takers = (text: string) => (JSON.parse(text) as Steal[]).map(({ by }) => by);
  expect(takers(listOf(2))).toEqual(["1", "2"]);
  expect(takers(listOf(stealsMax))).toHaveLength(stealsMax);
  const beyond = takers(listOf(stealsMax + 1));
  expect([beyond.length, beyond[0], beyond.at(-1)]).toEqual([stealsMax, "2", String(stealsMax + 1)]);
});

test("the longest records there can be fit a znode, and an owner that is longer is cut", () => {
  const text = "\u0001".repeat(stealTextMax);
  const owner = `${text}${text}`;
  let list = "";
  for (let n = 0; n < stealsMax; n++) list = withSteal(list, { ...steal(text), owner, reason: text });
  expect(list.length).toBeLessThan(1_000_000);
  expect((JSON.parse(list) as Steal[]).at(-1)).toMatchObject({ owner: text, by: text, reason: text });
});

test.each(["", "{}", "[", "null"])("what is no list makes way: %s", (stored) => {
  expect(JSON.parse(withSteal(stored, steal("me")))).toEqual([steal("me")]);
});
