/**
 * Credit: when a gateway stops reading its client, and that it always goes on.
 *
 * @module
 */

import { expect, test } from "vitest";
import { Credit, creditWindowBytes } from "../../src/gateway/credit.ts";
import { frameBytesMax } from "../../src/jute/index.ts";
import { heldBytesMax } from "../../src/objects/connection.ts";
import { creditStepBytes, Intake } from "../../src/objects/intake.ts";

function begun(): Credit {
  const credit = new Credit();
  credit.begin();
  return credit;
}

test("is used up at creditWindowBytes, what waits included, and not a byte before", () => {
  const credit = begun();
  credit.sent(creditWindowBytes - 10);
  expect([credit.isUsedUp(9), credit.isUsedUp(10)]).toEqual([false, true]);
  credit.hear("credit 1");
  expect([credit.isUsedUp(10), credit.isUsedUp(11)]).toEqual([false, true]);
});

test("is no matter with a member that gives none", () => {
  const credit = new Credit();
  credit.sent(10 * creditWindowBytes);
  expect(credit.isUsedUp(0)).toBe(false);
});

test("begins anew when the member has lost its memory, and never grows beyond that", () => {
  const credit = begun();
  credit.sent(creditWindowBytes);
  credit.hear("credit anew");
  credit.hear("credit 5");
  expect([credit.isUsedUp(creditWindowBytes - 1), credit.isUsedUp(creditWindowBytes)]).toEqual([false, true]);
});

test.each(["", "pong", "credit", "credit -1", "credit 1e9", "credits 5", "credit 9999999999999"])(
  "%j says nothing about it",
  (text) => {
    const credit = begun();
    credit.sent(creditWindowBytes);
    credit.hear(text);
    expect(credit.isUsedUp(0)).toBe(true);
  },
);

test("a gateway and a member never wait for each other, however frames lie in the window", () => {
  for (const length of [8, 1_000, 100_000, 500_000, frameBytesMax]) {
    const frame = new Uint8Array(4 + length);
    new DataView(frame.buffer).setInt32(0, length);
    const credit = begun();
    const intake = new Intake();
    let unsent = 4 * creditWindowBytes - ((4 * creditWindowBytes) % frame.length);
    let at = 0;
    let held = 0;
    while (unsent > 0) {
      expect(credit.isUsedUp(0), `stuck with frames of ${length}`).toBe(false);
      // A read of 64 KiB, cut wherever it falls.
      const read = new Uint8Array(Math.min(unsent, 65_536));
      for (let i = 0; i < read.length; i++) read[i] = frame[at++ % frame.length] ?? 0;
      unsent -= read.length;
      credit.sent(read.length);
      intake.push(read, 0);
      held = Math.max(held, intake.buffered);
      // The member takes nothing up until the gateway has stopped, or is through.
      if (!credit.isUsedUp(0) && unsent > 0) continue;
      while (intake.next().kind === "frame");
      const given = intake.takeCredit();
      if (given > 0) credit.hear(`credit ${given}`);
    }
    expect(held).toBeLessThan(heldBytesMax);
    expect(intake.buffered).toBe(0);
  }
  expect(creditStepBytes).toBeLessThan(creditWindowBytes - frameBytesMax - 4);
});
