/**
 * When sessions may end without their client's asking: after a full timeout in which the leader could have
 * heard of them, itself or from the member they are at, and did not (E4), and not much later than that when nobody comes back (E5).
 *
 * Time is the world's. A leader measures with a clock of its own, so a jump of it shortens what it waited, as
 * far as a jump may pass for time; a greater one is no evidence, and the waiting begins anew. A clock that is
 * set back makes the leader wait longer, but takes nothing from what has been waited.
 *
 * @module
 */

import { formatZxid, type ServerId, type SessionId, type Zxid } from "../../../src/base/index.ts";
import { violate } from "../violation.ts";
import type { Story } from "./story.ts";

export interface Jump {
  readonly member: ServerId;
  readonly atMs: number;
  readonly byMs: number;
}

export interface Touch {
  readonly atMs: number;
  readonly member: ServerId;
}

export interface Arrival {
  readonly leftMs: number;
  readonly atMs: number;
}

export interface Lapse {
  readonly member: ServerId;
  readonly atMs: number;
}

export interface SessionRecord {
  /** What the client was granted last. */
  timeoutMs: number;
  /** When something of its client reached a member that took it, and which one. */
  readonly touches: Touch[];
  /** When the client asked for the end itself; `undefined`: it never did. */
  goodbyeAt: number | undefined;
  /** When the client was heard for the last time, and gave up; `undefined`: it is still there. */
  vanishedAt: number | undefined;
}

export interface SessionFacts {
  readonly sessions: ReadonlyMap<SessionId, SessionRecord>;
  /** Who decided on a txn, and when; `timeMs` is what the decider's clock said. */
  decidedAt(zxid: Zxid, timeMs: number): { readonly leader: ServerId; readonly atMs: number } | undefined;
  /** When a member had begun to lead an epoch, or a little before. */
  ledSince(leader: ServerId, epoch: number): number | undefined;
  /** What reached `to` of all that `from` sent. */
  arrivals(from: ServerId, to: ServerId): readonly Arrival[];
  /** When members forgot whom they had heard from: with their memory, or with the leader they would have told. */
  readonly lapses: readonly Lapse[];
  readonly jumps: readonly Jump[];
  /** A gap in a leader's clock that is no evidence of anything. */
  readonly gapMs: number;
  readonly endMs: number;
}

/** How long a member may keep to itself whom it has heard from: five ticks, their jitter, and a call. */
const reportMs = 750;

/** Silence of a member after which its leader may have let it go: 13 ticks, a tenth faster than they should be. */
const letGoMs = 1_150;

/** How much a leader may notice a gap late: a tick and its jitter. */
const noticeMs = 150;

export function checkExpiry(story: Story, facts: SessionFacts): { readonly expired: number } {
  let expired = 0;
  for (const [session, record] of facts.sessions) {
    const closedAt = story.closes.get(session);
    if (closedAt === undefined) {
      if (!story.opens.has(session)) continue;
      // Rounded up to a tick of sessions, which is at most half a timeout; a new leader starts all over.
      const lateMs = 4 * record.timeoutMs + calmMs;
      const { vanishedAt } = record;
      if (vanishedAt !== undefined && facts.endMs - vanishedAt > lateMs) {
        violate("E5", `session ${session} outlives its client by ${facts.endMs - vanishedAt} ms`);
      }
      continue;
    }
    const decided = facts.decidedAt(closedAt, story.find(closedAt)?.txn.timeMs ?? 0);
    if (decided === undefined || record.goodbyeAt !== undefined) continue;
    expired++;
    const { leader, atMs } = decided;
    const led = facts.ledSince(leader, closedAt.epoch) ?? 0;
    const heard = record.touches.filter(
      (touch) =>
        // In the same millisecond, who was first cannot be told.
        touch.atMs < atMs && (touch.member === leader || hasTold(touch, leader, facts, atMs)),
    );
    let since = Math.max(led, ...heard.map((touch) => touch.atMs));
    let skipped = 0;
    for (const { atMs: jumpedAt, byMs } of leapsOf(leader, facts.jumps)) {
      if (jumpedAt < since || jumpedAt > atMs) continue;
      if (byMs > facts.gapMs) {
        since = Math.max(since, jumpedAt);
        skipped = 0;
      } else skipped = Math.max(skipped + byMs, since - jumpedAt);
    }
    const waited = atMs - since + Math.max(0, skipped);
    if (waited + noticeMs < record.timeoutMs) {
      violate(
        "E4",
        `session ${session} of ${record.timeoutMs} ms was expired at ${formatZxid(closedAt)} after ${waited} ms`,
      );
    }
  }
  return { expired };
}

/**
 * Whether something reached the leader before it decided that the touched member had sent with its report, or
 * after it. A member that does not lead passes on whom it has heard from; until that arrives the leader knows
 * nothing of it. Of what arrives in the millisecond of the decision it cannot be told which was first.
 */
function hasTold(
  { member, atMs: touchedAt }: Touch,
  leader: ServerId,
  facts: SessionFacts,
  decidedAt: number,
) {
  const lapsed = facts.lapses.find((lapse) => lapse.member === member && lapse.atMs > touchedAt);
  const lapsedAt = lapsed?.atMs ?? Number.POSITIVE_INFINITY;
  const arrivals = facts.arrivals(member, leader);
  // Whom the leader has let go it does not listen to; the member learns of it, and lapses, a little later.
  const deaf = arrivals.find(({ atMs }, at) => {
    const silentMs = atMs - (arrivals[at - 1]?.atMs ?? atMs);
    return silentMs >= letGoMs && atMs + reportMs > lapsedAt;
  });
  const heardUntil = Math.min(decidedAt, deaf?.atMs ?? Number.POSITIVE_INFINITY);
  return arrivals.some(
    ({ leftMs, atMs }) => leftMs >= touchedAt + reportMs && leftMs < lapsedAt && atMs < heardUntil,
  );
}

/** Jumps as a member sees them, who looks at its clock once a tick: those between two looks are one. */
function leapsOf(member: ServerId, jumps: readonly Jump[]): readonly Jump[] {
  const leaps: Jump[] = [];
  for (const jump of jumps.filter((each) => each.member === member)) {
    const last = leaps.at(-1);
    if (last === undefined || jump.atMs - last.atMs > noticeMs) leaps.push(jump);
    else leaps[leaps.length - 1] = { member, atMs: jump.atMs, byMs: last.byMs + jump.byMs };
  }
  return leaps;
}

/** Elections, and members that come back, between the last sign of life and the end. */
const calmMs = 15_000;
