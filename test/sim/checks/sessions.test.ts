/** When sessions end: too soon, in time, too late. */

import { describe, expect, it } from "vitest";
import { makeServerId } from "../../../src/base/index.ts";
import { type Arrival, checkExpiry, type Lapse, type SessionFacts, type SessionRecord } from "./sessions.ts";
import { me, opened, server, story } from "./telling.ts";

const closed = { session: me, op: { kind: "closeSession", ephemerals: [] } } as const;

function facts(
  atMs: number,
  record: Partial<SessionRecord> = {},
  given: Partial<SessionFacts> = {},
): SessionFacts {
  const session = {
    timeoutMs: 1_000,
    touches: [{ atMs: 2_000, member: server }],
    goodbyeAt: undefined,
    vanishedAt: undefined,
    ...record,
  };
  return {
    sessions: new Map([[me, session]]),
    decidedAt: () => ({ leader: server, atMs }),
    ledSince: () => 0,
    arrivals: () => [],
    lapses: [],
    jumps: [],
    gapMs: 4_000,
    endMs: 100_000,
    ...given,
  };
}

const other = makeServerId(2);
const at = (atMs: number, member: typeof server) => ({ atMs, member });
/** Touched at 2,000 at the leader, at 2,600 elsewhere; expired at 3,400. */
const elsewhere = (fromOther: readonly Arrival[], lapses: readonly Lapse[] = []) =>
  facts(
    3_400,
    { touches: [at(2_000, server), at(2_600, other)] },
    { arrivals: (from, to) => (from === other && to === server ? fromOther : []), lapses },
  );
const jump = (byMs: number, atMs = 2_500, member = server) => ({ jumps: [{ member, atMs, byMs }] });

describe("checkExpiry()", () => {
  it.each([
    ["a session expired after its timeout", facts(3_100)],
    ["a session that said goodbye", facts(2_001, { goodbyeAt: 2_000 })],
    ["a session touched at a member that could not tell the leader", elsewhere([])],
    ["one whose member told the leader too late", elsewhere([{ leftMs: 3_350, atMs: 3_450 }])],
    ["one whose member spoke before it was to tell", elsewhere([{ leftMs: 3_300, atMs: 3_360 }])],
    [
      "one whose member told the leader in the millisecond in which it decided",
      elsewhere([{ leftMs: 3_350, atMs: 3_400 }]),
    ],
    [
      "one whose member had lost touch with the leader before it told it",
      elsewhere([{ leftMs: 3_350, atMs: 3_370 }], [{ member: other, atMs: 2_900 }]),
    ],
    [
      "one whose member was let go before it told the leader, and learnt so",
      elsewhere(
        [
          { leftMs: 2_190, atMs: 2_200 },
          { leftMs: 3_351, atMs: 3_360 },
        ],
        [{ member: other, atMs: 3_390 }],
      ),
    ],
    [
      "one whose member was let go, and spoke twice before it learnt so",
      elsewhere(
        [
          { leftMs: 2_190, atMs: 2_200 },
          { leftMs: 3_351, atMs: 3_360 },
          { leftMs: 3_362, atMs: 3_370 },
        ],
        [{ member: other, atMs: 3_390 }],
      ),
    ],
    ["a leader whose clock leapt a little", facts(2_600, {}, jump(900))],
    ["a leader whose clock was set back, after the full timeout", facts(3_100, {}, jump(-900))],
    [
      "two jumps between two looks at the clock",
      facts(2_600, {}, { jumps: [...jump(-3_000, 2_500).jumps, ...jump(3_900, 2_520).jumps] }),
    ],
  ])("lets pass %s", (_, given) => {
    expect(checkExpiry(story(opened, closed), given).expired).toBeLessThanOrEqual(1);
  });

  it.each([
    ["one expired before its timeout", facts(2_500)],
    [
      "one expired although it was touched again",
      facts(3_100, { touches: [2_000, 2_900].map((atMs) => ({ atMs, member: server })) }),
    ],
    ["one touched at another member, which told the leader", elsewhere([{ leftMs: 3_350, atMs: 3_399 }])],
    [
      "one whose member told the leader before it would have been let go",
      elsewhere(
        [
          { leftMs: 2_230, atMs: 2_240 },
          { leftMs: 3_351, atMs: 3_360 },
        ],
        [{ member: other, atMs: 3_390 }],
      ),
    ],
    [
      "one whose member had been silent, and lapsed much later for a reason of its own",
      elsewhere(
        [
          { leftMs: 2_190, atMs: 2_200 },
          { leftMs: 3_351, atMs: 3_360 },
        ],
        [{ member: other, atMs: 4_110 }],
      ),
    ],
    [
      "one whose member had been silent, and was listened to all the same",
      elsewhere([
        { leftMs: 2_190, atMs: 2_200 },
        { leftMs: 3_351, atMs: 3_360 },
      ]),
    ],
    [
      "one whose member told the leader, and lost touch with it afterwards",
      elsewhere([{ leftMs: 3_350, atMs: 3_370 }], [{ member: other, atMs: 3_351 }]),
    ],
    [
      "one whose member had lost touch with the leader before it was touched",
      elsewhere([{ leftMs: 3_350, atMs: 3_370 }], [{ member: other, atMs: 2_500 }]),
    ],
    [
      "one whose leader another member had lost touch with",
      elsewhere([{ leftMs: 3_350, atMs: 3_370 }], [{ member: server, atMs: 2_900 }]),
    ],
    ["one expired by a leader that has just begun", facts(9_000, {}, { ledSince: () => 8_500 })],
    ["one expired by a leap that is no evidence", facts(2_600, {}, jump(9_000))],
    ["one expired when the clock is set back", facts(2_600, {}, jump(-900))],
    [
      "one expired when the clock leaps to where it was before it was set back",
      facts(2_830, {}, { jumps: [...jump(-400).jumps, ...jump(400, 2_800).jumps] }),
    ],
    ["one expired when the clock is set back for long", facts(2_600, {}, jump(-9_000))],
    ["one expired by another member's clock", facts(2_600, {}, jump(900, 2_500, makeServerId(2)))],
  ])("refuses %s (E4)", (_, given) => {
    expect(() => checkExpiry(story(opened, closed), given)).toThrow(/^E4:/);
  });

  it("refuses a session that outlives its client for long (E5), and lets it live a while", () => {
    expect(() => checkExpiry(story(opened), facts(0, { vanishedAt: 3_000 }))).toThrow(/^E5:/);
    expect(() => checkExpiry(story(opened), facts(0, { vanishedAt: 99_000 }))).not.toThrow();
  });
});
