/**
 * What a deployment costs: rows, requests and awake time, times Cloudflare's list prices. Pure.
 *
 * Rows written per write are asserted against real members in `test/objects/costs.workerd.test.ts`. What
 * cannot be measured on one machine is an assumption with a name, here and in `docs/cost.md`.
 *
 * @module
 */

/**
 * List prices of the Workers Paid plan in USD, and what is included a month.
 *
 * Source: https://developers.cloudflare.com/durable-objects/platform/pricing/ and
 * https://developers.cloudflare.com/workers/platform/pricing/, read in November 2026.
 */
export const prices = {
  planMonth: 5,
  objectRequest: { usd: 0.15 / 1e6, included: 1e6 },
  objectGbSecond: { usd: 12.5 / 1e6, included: 400_000 },
  rowWritten: { usd: 1 / 1e6, included: 50e6 },
  rowRead: { usd: 0.001 / 1e6, included: 25e9 },
  storedGbMonth: { usd: 0.2, included: 5 },
  workerRequest: { usd: 0.3 / 1e6, included: 10e6 },
  workerCpuMs: { usd: 0.02 / 1e6, included: 30e6 },
} as const;

/** Billed per object, however little it uses. */
const objectGb = 0.128;

/** Messages on a client's WebSocket that are billed as one request. */
const messagesPerRequest = 20;

/** An awake leader calls each follower so often when it has nothing else to say (`src/objects/timing.ts`). */
const pingSeconds = 0.4;

/** An awake member renews its watchdog so often: two rows and an alarm, which is billed as one more. */
const watchdogSeconds = 30;
const watchdogRows = 3;

/** CPU of the Worker for one HTTP request: an assumption. */
const workerCpuMs = 1;

export const daysPerMonth = 30;
const secondsPerMonth = daysPerMonth * 86_400;

/** What a write leaves behind, and so what it costs besides the log. */
export type WriteKind = "update" | "create" | "delete" | "lock" | "session";

/** Rows of `znode` or `session` that a write brings to a checkpoint, when many writes share one. */
const rowsAtCheckpoint: Readonly<Record<WriteKind, number>> = {
  // A znode that changes again before the checkpoint costs one row together.
  update: 0,
  create: 1,
  delete: 1,
  // What came and went in between never gets there.
  lock: 0,
  session: 0,
};

/** Changes on one page of a checkpoint's draft: a page is one row written and one deleted. */
const draftRows = 512;

/** Log rows dropped at once: the new base is one row. */
const droppedRows = 256;

/**
 * Rows written per committed write and member: the write's share of its log row, of dropping that row, and
 * of the checkpoint.
 *
 * @param batch - Writes that arrive together, or while others are under way: one row of log. At least 1.
 */
export function rowsPerWrite(kind: WriteKind, batch: number): number {
  const log = (1 / batch) * (2 + 1 / droppedRows);
  return log + rowsAtCheckpoint[kind] * (1 + 2 / draftRows);
}

/**
 * Rows that the record of an `Idempotency-Key` adds to its write, per member, at most: the record and its end at
 * checkpoints, and the write that sweeps it. Sweeps are assumed to share log rows as other writes do.
 *
 * @param batch - As for {@link rowsPerWrite}.
 */
export function rowsPerKey(batch: number): number {
  return rowsPerWrite("create", batch) - rowsPerWrite("update", batch) + rowsPerWrite("delete", batch);
}

export interface Usage {
  readonly members: number;
  readonly readsPerDay: number;
  readonly writesPerDay: number;
  readonly kind: WriteKind;
  /** Each write has an `Idempotency-Key`. */
  readonly keyed: boolean;
  /** Writes that share a log row, and the calls between members. */
  readonly batch: number;
  readonly storedGb: number;
  /** Clients on WebSockets, and not on HTTP. */
  readonly websocket: boolean;
  /** Part of the month that members are in memory: 1 while sessions are open and busy, 0 for nobody. */
  readonly awake: number;
}

export interface Bill {
  /** USD a month, by cause, before anything included is taken off. */
  readonly lines: {
    readonly requests: number;
    readonly rows: number;
    readonly awake: number;
    readonly storage: number;
  };
  readonly listUsd: number;
  /** With what the plan includes taken off, and the plan's own price. */
  readonly billUsd: number;
}

interface Amounts {
  readonly objectRequests: number;
  readonly workerRequests: number;
  readonly rowsWritten: number;
  readonly gbSeconds: number;
  readonly storedGb: number;
}

function amountsOf(usage: Usage): Amounts {
  const { members, readsPerDay, writesPerDay, kind, keyed, batch, storedGb, websocket, awake } = usage;
  const writes = writesPerDay * daysPerMonth;
  const requests = readsPerDay * daysPerMonth + writes;
  const perRequest = websocket ? 1 / messagesPerRequest : 1;
  // A commit rides on the next call.
  const committed = keyed ? 2 * writes : writes;
  const peerCalls = (committed * (members - 1)) / batch;
  const rowsEach = rowsPerWrite(kind, batch) + (keyed ? rowsPerKey(batch) : 0);
  const awakeSeconds = secondsPerMonth * awake;
  const pings = ((members - 1) * awakeSeconds) / pingSeconds;
  return {
    objectRequests: requests * perRequest + peerCalls + pings,
    workerRequests: websocket ? 0 : requests,
    rowsWritten: members * (writes * rowsEach + (awakeSeconds / watchdogSeconds) * watchdogRows),
    gbSeconds: members * awakeSeconds * objectGb,
    storedGb: storedGb * members,
  };
}

/** What a month of such usage costs. */
export function billOf(usage: Usage): Bill {
  const amounts = amountsOf(usage);
  const cpuMs = amounts.workerRequests * workerCpuMs;
  const lines = {
    requests:
      amounts.objectRequests * prices.objectRequest.usd +
      amounts.workerRequests * prices.workerRequest.usd +
      cpuMs * prices.workerCpuMs.usd,
    rows: amounts.rowsWritten * prices.rowWritten.usd,
    awake: amounts.gbSeconds * prices.objectGbSecond.usd,
    storage: amounts.storedGb * prices.storedGbMonth.usd,
  };
  const priced: readonly (readonly [number, { readonly usd: number; readonly included: number }])[] = [
    [amounts.objectRequests, prices.objectRequest],
    [amounts.workerRequests, prices.workerRequest],
    [cpuMs, prices.workerCpuMs],
    [amounts.rowsWritten, prices.rowWritten],
    [amounts.gbSeconds, prices.objectGbSecond],
    [amounts.storedGb, prices.storedGbMonth],
  ];
  const beyond = priced.reduce(
    (sum, [amount, { usd, included }]) => sum + usd * Math.max(0, amount - included),
    0,
  );
  const listUsd = lines.requests + lines.rows + lines.awake + lines.storage;
  return { lines, listUsd, billUsd: prices.planMonth + beyond };
}
