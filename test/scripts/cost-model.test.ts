/**
 * Proves the arithmetic of the bill against figures worked out by hand. That the rows are what members
 * write is shown elsewhere, in `test/objects/costs.workerd.test.ts`.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { billOf, rowsPerKey, rowsPerWrite, type Usage } from "../../scripts/cost-model.ts";

const nothing: Usage = {
  members: 3,
  readsPerDay: 0,
  writesPerDay: 0,
  kind: "update",
  keyed: false,
  batch: 10,
  storedGb: 0,
  websocket: true,
  awake: 0,
};

describe("rowsPerWrite()", () => {
  test.each([
    ["update", 1, 2.004],
    ["update", 10, 0.2],
    ["create", 10, 1.204],
    ["delete", 1, 3.008],
    ["lock", 64, 0.031],
    ["session", 1, 2.004],
  ] as const)("of kind %s, %i at a time, is %f", (kind, batch, rows) => {
    expect(rowsPerWrite(kind, batch)).toBeCloseTo(rows, 3);
  });
});

describe("rowsPerKey()", () => {
  test.each([
    [1, 4.012],
    [10, 2.208],
    [64, 2.039],
  ])("%i at a time, is %f: a record, its end, and the sweep", (batch, rows) => {
    expect(rowsPerKey(batch)).toBeCloseTo(rows, 3);
  });
});

describe("billOf()", () => {
  test("nobody, asleep, is the price of the plan", () => {
    expect(billOf(nothing)).toMatchObject({ listUsd: 0, billUsd: 5 });
  });

  test("three members awake, and nobody there: memory, pings and watchdogs", () => {
    const { lines, billUsd } = billOf({ ...nothing, awake: 1 });
    // 3 x 2,592,000 s x 0.128 GB at $12.50 a million; 2 followers x 2.5 calls a second at $0.15.
    expect(lines.awake).toBeCloseTo(12.44, 2);
    expect(lines.requests).toBeCloseTo(1.94, 2);
    // 3 x 86,400 x 3 rows.
    expect(lines.rows).toBeCloseTo(0.78, 2);
    // Less 400,000 GB-s, a million calls, and rows within the 50 million.
    expect(billUsd).toBeCloseTo(5 + 7.44 + 1.79, 1);
  });

  test("a million writes a day over HTTP, one at a time", () => {
    const { lines } = billOf({ ...nothing, writesPerDay: 1e6, batch: 1, websocket: false });
    // 30 million writes: a Worker and an object request and 1 ms each, two calls, 3 x 2 rows.
    expect(lines.requests).toBeCloseTo(30 * (0.3 + 0.15 + 0.02) + 60 * 0.15, 5);
    expect(lines.rows).toBeCloseTo(30 * 3 * (2 + 1 / 256), 5);
  });

  test("a key on each of them: the sweep's calls, and four rows more", () => {
    const usage: Usage = { ...nothing, writesPerDay: 1e6, batch: 1, websocket: false, keyed: true };
    const { lines } = billOf(usage);
    expect(lines.requests).toBeCloseTo(30 * (0.3 + 0.15 + 0.02) + 120 * 0.15, 5);
    expect(lines.rows).toBeCloseTo(30 * 3 * (2 * (2 + 1 / 256) + 2 * (1 + 2 / 512)), 5);
  });

  test("messages on WebSockets are a twentieth of a request, and reads no row", () => {
    const { lines } = billOf({ ...nothing, readsPerDay: 1e6 });
    expect(lines).toEqual({ requests: expect.closeTo(0.225, 6), rows: 0, awake: 0, storage: 0 });
  });

  test("storage is a copy for each member", () => {
    expect(billOf({ ...nothing, storedGb: 4 })).toMatchObject({
      listUsd: expect.closeTo(2.4, 6),
      billUsd: expect.closeTo(5 + 1.4, 6),
    });
  });
});
