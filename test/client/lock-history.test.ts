/** Proves that the checker of lock histories passes good ones and finds each kind of fault. */

import { describe, expect, test } from "vitest";
import { faultsOf, herdFaults, type LockRecord } from "./lock-history.ts";

/** `+1x`: place 1 is granted the lock exclusively; `-1x`: its hold ends; `s`: shared. Token: ten a place. */
function historyOf(text: string): LockRecord[] {
  return text.split(" ").map((word) => {
    const place = Number(word.slice(1, -1));
    return {
      kind: word.startsWith("+") ? "granted" : "ended",
      place,
      mode: word.endsWith("s") ? "shared" : "exclusive",
      token: BigInt(place) * 10n,
    };
  });
}

describe("lock history", () => {
  test.each([
    ["exclusive ones in turn", "+0x -0x +1x -1x", 2],
    ["places that others have left unused", "+3x -3x +7x -7x", 2],
    ["shared ones together", "+0s +1s -0s -1s +2x -2x", 3],
    ["shared ones in any order, as far as exclusive ones let them", "+1s +0s -1s -0s +2x -2x +3s -3s", 4],
  ])("%s: no fault", (_, text, count) => {
    expect(faultsOf(historyOf(text), count)).toEqual([]);
  });

  test.each([
    ["two exclusive holders", "+0x +1x -0x -1x", "1 holds it together with 0"],
    ["an exclusive holder beside a shared one", "+0s +1x -0s -1x", "1 holds it together with 0"],
    ["a shared holder beside an exclusive one", "+0x +1s -0x -1s", "1 holds it together with 0"],
    ["an exclusive one overtakes", "+1x -1x +0x -0x", "1 overtakes 0"],
    ["a shared one overtakes an exclusive one", "+1s -1s +0x -0x", "1 overtakes 0"],
    ["an exclusive one overtakes a shared one", "+1x -1x +0s -0s", "1 overtakes 0"],
    ["granted twice", "+0x -0x +0x -0x", '2 records "granted" of 1 contenders, where there were 2'],
    ["never granted", "+0x -0x", '1 records "granted" of 1 contenders, where there were 2'],
    ["never ended", "+0x -0x +1x", '1 records "ended" of 1 contenders, where there were 2'],
    ["ended without a grant", "+0x -0x -1x", "1 ends what it does not hold"],
  ])("%s: found", (_, text, fault) => {
    expect(faultsOf(historyOf(text), 2)).toContain(fault);
  });

  test.each([5n, 0n])("a token of %i behind one of 5: found", (token) => {
    const history = historyOf("+0x -0x +1x -1x").map((record) => ({
      ...record,
      token: record.place === 0 ? 5n : token,
    }));
    expect(faultsOf(history, 2)).toEqual([`1 has token ${token}, and 0 before it 5`]);
  });
});

describe("herd", () => {
  test.each([
    ["an exclusive one behind", "+0x -0x +1x -1x", 2],
    ["nobody behind", "+0x -0x", 2],
    ["shared ones behind that get the lock together", "+0x -0x +1s +2s +3s -1s -2s -3s +4x -4x", 5],
    ["shared ones behind a shared one", "+0s +1s +2s -0s -1s -2s", 2],
    ["shared ones behind the next exclusive one", "+0x -0x +1x -1x +2s -2s", 2],
  ])("%s: as many as have to know, and not one more", (_, text, most) => {
    const records = historyOf(text);
    expect(herdFaults(records, new Map([[0, most]]))).toEqual([]);
    const faults = [`the release of 0 told ${most + 1}, ${most} had to know`];
    expect(herdFaults(records, new Map([[0, most + 1]]))).toEqual(faults);
  });
});
