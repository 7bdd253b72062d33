/**
 * The exhaustive search at bounds that take seconds: every state is visited, and no promise is broken in any.
 * `npm run explore` takes larger bounds.
 */

import { expect, it } from "vitest";
import { Explorer } from "./explore.ts";

const bounds = { members: 3, txns: 1, crashes: 0, timeouts: 0, linkDowns: 0, statesMax: 1_000_000 };

it("explores: three members, two epochs, a txn", () => {
  const explored = new Explorer({ ...bounds, epochs: 2, attaches: 3 }).run();
  expect(explored.violation?.message).toBeUndefined();
  expect(explored.isComplete).toBe(true);
  expect(explored.states).toBeGreaterThan(5_000);
  expect(explored.reached.committed).toBeGreaterThan(100);
});

it("explores: the same with a crash", () => {
  const explored = new Explorer({ ...bounds, epochs: 2, crashes: 1, attaches: 2 }).run();
  expect(explored.violation?.message).toBeUndefined();
  expect(explored.isComplete).toBe(true);
  expect(explored.reached.twoReigns).toBeGreaterThan(0);
});

it("explores: a member alone", () => {
  const explored = new Explorer({ ...bounds, members: 1, epochs: 4, txns: 3, crashes: 2, attaches: 0 }).run();
  expect(explored.violation?.message).toBeUndefined();
  expect(explored.isComplete).toBe(true);
});
