/**
 * The incoming half of a connection: when frames came, and what credit is given for.
 *
 * @module
 */

import { expect, test } from "vitest";
import { creditStepBytes, Intake } from "../../src/objects/intake.ts";

function frame(length: number): Uint8Array {
  const bytes = new Uint8Array(4 + length);
  new DataView(bytes.buffer).setInt32(0, length);
  return bytes;
}

test("a frame came when its last byte did", () => {
  const intake = new Intake();
  const [first, second] = [frame(10), frame(20)];
  intake.push(first.subarray(0, 5), 100);
  expect(intake.next().kind).toBe("incomplete");
  intake.push(first.subarray(5), 200);
  intake.push(second.subarray(0, 3), 200);
  intake.push(second.subarray(3, 10), 300);
  intake.push(new Uint8Array([...second.subarray(10), ...frame(0)]), 400);
  const arrivals = [1, 2, 3].map(() => [intake.next().kind, intake.arrivedMs]);
  expect(arrivals).toEqual([
    ["frame", 200],
    ["frame", 400],
    ["frame", 400],
  ]);
  expect([intake.next().kind, intake.buffered]).toEqual(["incomplete", 0]);
});

test("a stream that never ends on a frame's end is followed for ever", () => {
  const intake = new Intake();
  const bytes = frame(10);
  intake.push(bytes.subarray(0, 1), 0);
  for (let ms = 1; ms <= 5_000; ms++) {
    intake.push(new Uint8Array([...bytes.subarray(1), ...bytes.subarray(0, 1)]), ms);
    expect([intake.next().kind, intake.arrivedMs, intake.next().kind]).toEqual(["frame", ms, "incomplete"]);
  }
});

test("credit comes in steps of creditStepBytes, and adds up to all that was taken up", () => {
  const intake = new Intake();
  intake.push(frame(creditStepBytes - 5), 0);
  intake.next();
  expect(intake.takeCredit()).toBe(0);
  intake.push(new Uint8Array([...frame(100), ...frame(100)]), 0);
  expect(intake.takeCredit()).toBe(0);
  intake.next();
  expect([intake.takeCredit(), intake.takeCredit()]).toEqual([creditStepBytes - 1 + 104, 0]);
  intake.next();
  expect(intake.takeCredit()).toBe(0);
});
