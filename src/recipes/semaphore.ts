/**
 * A semaphore: at most so many holders at once, first come, first served.
 *
 * The turn is a lock whose holder alone waits for room, and each holder has one ephemeral (`base/semaphores.ts`):
 * a release wakes one client, not all that wait. Everybody must name the same number of seats; the first to come
 * writes it down, and another number is refused. Seats over HTTP have the same layout, so both count together.
 *
 * Source: Curator `InterProcessSemaphoreV2` (the same idea; its znodes are named otherwise).
 *
 * @module
 */

import { leasesOf, parseDuration, seatsOf, turnOf, ZkErrorCode } from "../base/index.ts";
import {
  type Client,
  type Duration,
  isZkError,
  json,
  leave,
  leaveLater,
  orAbort,
  type Place,
  Tenure,
  takeNumbered,
  undefinedIfPassing,
  ZkError,
} from "../client/index.ts";

export interface SemaphoreOptions {
  /** Holders at most, 1 or more: the same for everybody. */
  readonly seats: number;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, 0 tries once. Default: for ever. */
  readonly wait?: Duration | undefined;
  /** Shown to others: the data of the lease. */
  readonly owner?: string | undefined;
}

/** A seat that is held until it is released, or its session ends. */
export class Seat implements AsyncDisposable {
  /** Grows from grant to grant, over all seats together. */
  readonly token: bigint;
  readonly #zk: Client;
  readonly #place: Place;
  readonly #tenure: Tenure;

  constructor(zk: Client, place: Place) {
    this.#zk = zk;
    this.#place = place;
    this.token = place.stat.czxid;
    this.#tenure = new Tenure(zk, place.path);
  }

  /** Aborts with a `Lost` before the seat can be another's. */
  get signal(): AbortSignal {
    return this.#tenure.signal;
  }

  /**
   * Gives the seat back.
   *
   * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout`: not known to be free yet. It goes on being tried
   *   while the session lives.
   */
  async release(): Promise<void> {
    this.#tenure.end("released");
    await leave(this.#zk, this.#place.remove);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Takes a seat, waiting for one.
 *
 * @throws {@link ZkError} `BadArguments` when others count on another number of seats; as `Client.lock`.
 */
export async function takeSeat(zk: Client, path: string, options: SemaphoreOptions): Promise<Seat> {
  const { seats, signal, wait, owner = "" } = options;
  if (!Number.isInteger(seats) || seats < 1) throw refused(path, `seats is ${seats}, not 1 or more`);
  const leases = leasesOf(path);
  await zk.createPath(leases, { signal });
  await agree(zk, path, seats, signal);
  using limit = new WaitLimit(zk, path, wait);
  const turn = await zk.lock(turnOf(path), { signal, wait, owner });
  let place: Place | undefined;
  try {
    // Whoever has the turn keeps it while it waits, so nobody overtakes.
    const until = AbortSignal.any([limit.signal, turn.signal, ...(signal === undefined ? [] : [signal])]);
    await untilFree(zk, path, options, until);
    // There is a seat: what takes it is not given up half-way.
    limit[Symbol.dispose]();
    place = await takeNumbered(zk, leases, (mark) => `${mark}-lease-`, owner, until);
    // A turn not known to be given back is given back behind us: the seat is taken all the same.
    await turn.release().catch(undefinedIfPassing);
    return new Seat(zk, place);
  } catch (error) {
    if (place !== undefined) leaveLater(zk, place.remove);
    await turn.release().catch(undefinedIfPassing);
    throw error;
  }
}

/** Resolves when there is a seat that nobody has. */
async function untilFree(
  zk: Client,
  path: string,
  { seats, wait }: SemaphoreOptions,
  until: AbortSignal,
): Promise<void> {
  for (;;) {
    const { children, changed } = await zk.children(leasesOf(path), { watch: true, signal: until });
    if (children.length < seats) return;
    if (wait === 0) throw timedOut(path);
    await orAbort(changed, until);
  }
}

/** Ends the waiting, for the turn and for a seat together. */
class WaitLimit implements Disposable {
  readonly #zk: Client;
  readonly #controller = new AbortController();
  readonly #timer: unknown;

  constructor(zk: Client, path: string, wait: Duration | undefined) {
    this.#zk = zk;
    const ms = wait === undefined ? undefined : parseDuration(wait);
    // What is no duration is refused by the lock; 0 does not wait at all.
    if (ms === undefined || ms === 0) return;
    this.#timer = zk.clock.setTimer(() => this.#controller.abort(timedOut(path)), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#zk.clock.clearTimer(this.#timer);
  }
}

async function agree(zk: Client, path: string, seats: number, signal?: AbortSignal): Promise<void> {
  const agreed = seatsOf(path);
  try {
    await zk.create(agreed, json(seats), { signal });
  } catch (error) {
    if (!isZkError(error, "NodeExists")) throw error;
    const stored = await (await zk.get(agreed, { signal })).json();
    if (stored !== seats) throw refused(path, `others count on ${String(stored)} seats, not ${seats}`);
  }
}

function refused(path: string, why: string): ZkError {
  return new ZkError({
    code: ZkErrorCode.BadArguments,
    message: `Cannot take a seat of "${path}": ${why}`,
    path,
  });
}

function timedOut(path: string): ZkError {
  const message = `Cannot take a seat of "${path}": all are taken`;
  return new ZkError({ code: ZkErrorCode.OperationTimeout, message, path });
}
