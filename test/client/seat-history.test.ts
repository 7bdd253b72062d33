/** Proves that the checker of seats' histories passes good ones and finds each kind of fault. */

import { describe, expect, test } from "vitest";
import { type SeatRecord, seatFaults } from "./seat-history.ts";

/** `?1` asks, `+1:20` is granted with token 20, `-1` ends. */
function historyOf(text: string): SeatRecord[] {
  return text.split(" ").map((word) => {
    const [hold, token] = word.slice(1).split(":");
    const kind = { "?": "asked", "+": "granted" }[word[0] ?? ""] ?? "ended";
    return {
      kind: kind as SeatRecord["kind"],
      hold: Number(hold),
      token: token === undefined ? undefined : BigInt(token),
    };
  });
}

describe("seat history", () => {
  test.each([
    ["one after the other", 1, "?0 ?1 +0:5 -0 +1:6 -1", 2],
    ["as many together as there are seats", 2, "?0 ?1 ?2 +0:5 +1:6 -0 +2:7 -1 -2", 3],
    ["of several seats a grant that is heard of late", 2, "?0 ?1 ?2 +1:6 -1 +0:5 -0 +2:7 -2", 3],
  ])("%s: no fault", (_, seats, text, count) => {
    expect(seatFaults(historyOf(text), { seats, count })).toEqual([]);
  });

  test.each([
    ["two leaders", 1, "?0 ?1 +0:5 +1:6 -0 -1", "0, 1 hold 1 together"],
    ["more holders than seats", 2, "?0 ?1 ?2 +0:5 +1:6 +2:7 -0 -1 -2", "0, 1, 2 hold 2 together"],
    ["a token that shrinks", 1, "?0 ?1 +0:5 -0 +1:4 -1", "1 has token 4, and 0 before it 5"],
    ["a token that stays", 1, "?0 ?1 +0:5 -0 +1:5 -1", "1 has token 5, and 0 before it 5"],
    [
      "a token smaller than before it was asked for",
      2,
      "?0 +0:5 -0 ?1 +1:4 -1",
      "1 has token 4, and 0 before it 5",
    ],
    ["one token twice", 2, "?0 ?1 +0:5 +1:5 -0 -1", "two holds have one token"],
    ["never granted", 1, "?0 ?1 +0:5 -0", '1 records "granted" of 1 holds, where there were 2'],
    ["granted twice", 1, "?0 ?1 +0:5 -0 +0:6 -0", '2 records "granted" of 1 holds, where there were 2'],
    ["never ended", 2, "?0 ?1 +0:5 +1:6 -0", '1 records "ended" of 1 holds, where there were 2'],
    ["ended without a grant", 1, "?0 ?1 +0:5 -0 -1", "1 ends what it does not hold"],
  ])("%s: found", (_, seats, text, fault) => {
    expect(seatFaults(historyOf(text), { seats, count: 2 })).toContain(fault);
  });
});
