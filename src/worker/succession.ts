/**
 * Succession: whether the leader that keeps a caller waiting has been replaced meanwhile.
 *
 * A leader that hangs tells nobody. Its followers notice by its silence, elect another and know it first; so
 * whoever waits for a leader asks the others after a moment, and again and again: often while followers that
 * noticed at once would be electing, less and less often afterwards. That ends a call which would otherwise wait
 * for its own timeout, and rouses followers that sleep, which would not notice. Who calls the same leader while
 * others wait for it, or just after one has given up, waits as if from the beginning of theirs.
 *
 * Believed is only what a majority of the voters says of the same epoch: a leader that was replaced, and has
 * yet to notice, is followed by no such majority.
 *
 * Requests of an isolate share what was found, as data: no request may wait for the call of another.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import type { MemberStatus } from "../objects/index.ts";
import { lookAtAll, statusesOf } from "./calls.ts";
import type { Ensemble } from "./ensemble.ts";
import { electionFromMs, electionLookMs, electionToMs, suspectMs } from "./limits.ts";

/** Pauses between looks grow to this part of the wait so far. */
const pausePart = 1 / 4;

/** What a look at the others showed, or will. */
interface Look {
  readonly atMs: number;
  /** Who was left out. */
  readonly suspect: ServerId;
  /** Since when somebody waits for it, as far as this isolate knows. */
  readonly sinceMs: number;
  successor: ServerId | undefined;
}

/** A wait for news that may never come. */
export interface Lookout {
  /** The successor, once there is one; pending for as long as there is none. */
  readonly successor: Promise<ServerId>;
  stop(): void;
}

/** One per isolate. */
export class Succession {
  /** The last look, by ensemble. */
  readonly #looks = new Map<string, Look>();

  /** Looks out for a successor of `suspect`, which was called just now. */
  watch(ensemble: Ensemble, suspect: ServerId): Lookout {
    const sinceMs = this.#silentSince(ensemble, suspect);
    let timer: ReturnType<typeof setTimeout>;
    let isStopped = false;
    const successor = new Promise<ServerId>((resolve) => {
      const lookLater = (): void => {
        timer = setTimeout(
          async () => {
            const found = await this.#look(ensemble, suspect, sinceMs);
            if (isStopped) return;
            if (found === undefined) lookLater();
            else resolve(found);
          },
          pauseAfter(Date.now() - sinceMs),
        );
      };
      lookLater();
    });
    return {
      successor,
      stop() {
        isStopped = true;
        clearTimeout(timer);
      },
    };
  }

  /** A client gives up, and calls again, sooner than followers do: its second call goes on where its first was. */
  #silentSince({ name }: Ensemble, suspect: ServerId): number {
    const nowMs = Date.now();
    const last = this.#looks.get(name);
    if (last === undefined || last.suspect !== suspect || last.successor !== undefined) return nowMs;
    const isSameWait = nowMs - last.atMs < electionFromMs && nowMs - last.sinceMs < electionToMs;
    return isSameWait ? last.sinceMs : nowMs;
  }

  async #look(ensemble: Ensemble, suspect: ServerId, sinceMs: number): Promise<ServerId | undefined> {
    const { voters } = ensemble;
    const others = ensemble.ids.filter((id) => id !== suspect);
    if (voters.filter((id) => id !== suspect).length * 2 <= voters.length) return undefined;
    const last = this.#looks.get(ensemble.name);
    // Many may wait for the same leader: one of them looks.
    if (last?.suspect === suspect && Date.now() - last.atMs < electionLookMs) return last.successor;
    const look: Look = { atMs: Date.now(), suspect, sinceMs, successor: undefined };
    this.#looks.set(ensemble.name, look);
    const isDecided = (statuses: readonly MemberStatus[]) => followedLeader(statuses, voters) !== undefined;
    const sightings = await lookAtAll(ensemble, others, (soFar) => isDecided(statusesOf(soFar)), true);
    look.successor = followedLeader(statusesOf(sightings), voters);
    return look.successor;
  }
}

/** How long until the next look, having waited for so long. */
function pauseAfter(waitedMs: number): number {
  if (waitedMs < suspectMs) return suspectMs - waitedMs;
  if (waitedMs >= electionFromMs && waitedMs < electionToMs) return electionLookMs;
  const pauseMs = Math.max(suspectMs, waitedMs * pausePart);
  return waitedMs < electionFromMs ? Math.min(pauseMs, electionFromMs - waitedMs) : pauseMs;
}

/** The leader that a majority of the voters, itself among them, serves under in one epoch. */
export function followedLeader(
  statuses: readonly MemberStatus[],
  voters: readonly ServerId[],
): ServerId | undefined {
  const serving = statuses.filter((status) => status.serving && voters.includes(status.id));
  return serving.find(({ id, role, epoch }) => {
    const party = serving.filter((status) => status.epoch === epoch && status.leader === id);
    return role === "leading" && party.length * 2 > voters.length;
  })?.id;
}
