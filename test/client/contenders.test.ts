/**
 * Many contenders for one lock, each with a session of its own, while leaders are killed and members dropped
 * from memory: every grant is exclusive, fair and fenced, and a release wakes no herd.
 *
 * A hundred of them; `EK_CONTENDERS=1000 npx vitest run --project process test/client/contenders.test.ts`
 * takes as many as are wanted.
 *
 * Then a semaphore and an election, whose contenders are half the SDK's and half of HTTP: never more holders than seats,
 * one leader at a time, tokens that grow, and everybody has its turn.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { connectThrough } from "../../src/client/connect.ts";
import { type Client, persistently, type Transport, undefinedIfPassing } from "../../src/client/index.ts";
import { tcpTransport } from "../../src/client/node/tcp.ts";
import { FrameDecoder } from "../../src/jute/index.ts";
import { type LocalEnsemble, startLocal } from "../../src/local/index.ts";
import { stand, takeSeat } from "../../src/recipes/index.ts";
import { HttpGrant } from "./http-seats.ts";
import { faultsOf, herdFaults, type LockRecord } from "./lock-history.ts";
import { type SeatRecord, seatFaults } from "./seat-history.ts";

const contenders = Number(process.env["EK_CONTENDERS"] ?? "100");
const mortalWorkerPath = join(import.meta.dirname, "..", "support", "mortal-worker.ts");
const lockPath = "/contended";
const seats = 3;
/** Of each contender for a seat or the lead, one after the other. */
const rounds = 2;
const seatContenders = Math.ceil(contenders / 5);
/** Round trips under a seat: enough for one too many to come in. */
const keeps = 20;
const eventXid = -1;
/** Behind its length a frame has the xid, the zxid and the error; an event then its type, a state and a path. */
const eventTypeAt = 16;
const eventPathAt = 28;
const deletedType = 2;
/** Nothing here is asserted about time; a thousand take minutes. */
const patienceMs = 120_000 + contenders * 1_000;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, patienceMs);

async function startMortal(): Promise<LocalEnsemble> {
  const data = mkdtempSync(join(tmpdir(), "edgekeeper-"));
  cleanups.push(() => rmSync(data, { recursive: true, force: true, maxRetries: 3 }));
  const local = await startLocal({
    host: "127.0.0.1",
    port: 0,
    zkPort: 0,
    data,
    vars: { EK_OPEN_ON_LOOPBACK: "on", EK_MAX_CONNECTIONS_PER_ADDRESS: "0" },
    log: () => undefined,
    workerEntryPath: mortalWorkerPath,
  });
  cleanups.push(() => local.close());
  return local;
}

/** A transport that counts the watch events which come through it: all, and those of each place that is gone. */
class Counted implements Transport {
  readonly #transport: Transport;
  readonly #told: Map<number, number>;
  readonly target: string;
  events = 0;

  constructor(transport: Transport, told: Map<number, number>) {
    this.#transport = transport;
    this.#told = told;
    this.target = transport.target;
  }

  open: Transport["open"] = (events) => {
    const frames = new FrameDecoder();
    let isHello = true;
    return this.#transport.open({
      ...events,
      received: (bytes) => {
        frames.push(bytes.slice());
        for (let next = frames.next(); next.kind === "frame"; next = frames.next()) {
          // What answers the connect request has no xid.
          if (!isHello) this.#count(next.bytes);
          isHello = false;
        }
        events.received(bytes);
      },
    });
  };

  #count(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (view.getInt32(0) !== eventXid) return;
    this.events += 1;
    if (view.getInt32(eventTypeAt) !== deletedType) return;
    const place = Number(new TextDecoder().decode(frame.subarray(eventPathAt)).slice(-10));
    this.#told.set(place, (this.#told.get(place) ?? 0) + 1);
  }
}

/** What befalls the ensemble, in turn. */
async function strike(local: LocalEnsemble, turn: number): Promise<void> {
  const response = await fetch(`${local.url}/v1/main/members`);
  const { leader }: { leader: number | null } = JSON.parse(await response.text());
  const victim = leader ?? 1;
  const other = (victim % 3) + 1;
  if (turn % 4 === 0) await fetch(`${local.url}/die/${victim}`, { method: "POST" });
  else if (turn % 4 === 1) await drop(local, victim, "hibernate");
  else if (turn % 4 === 2) await fetch(`${local.url}/die/${other}`, { method: "POST" });
  else await drop(local, other, "close");
}

/** Of one that has just died there is nothing to drop. */
async function drop(local: LocalEnsemble, member: number, webSockets: "hibernate" | "close"): Promise<void> {
  try {
    await local.evict(`main/${member}`, webSockets);
  } catch (error) {
    if (!String(error).includes("not currently running")) throw error;
  }
}

test(
  `${contenders} contenders for one lock, through lost leaders and members: exclusive, fair, fenced, no herd`,
  async () => {
    const local = await startMortal();
    const records: LockRecord[] = [];
    const told = new Map<number, number>();
    const strikes: Promise<void>[] = [];
    const strikeEvery = Math.ceil(contenders / 7);
    const lines = Array.from({ length: contenders }, () => {
      const transport = new Counted(tcpTransport([{ host: "127.0.0.1", port: local.zkPort }]), told);
      const client = connectThrough(transport, {
        sessionTimeout: "40s",
        operationTimeout: `${patienceMs}ms`,
      });
      cleanups.push(() => client.close());
      return { transport, client };
    });
    let granted = 0;
    await Promise.all(lines.map(({ client }) => client.exists("/")));

    async function contend(client: Client, index: number): Promise<void> {
      const lock = await client.lock(lockPath, { shared: index % 4 === 3 });
      const record = { place: Number(lock.contender.slice(-10)), mode: lock.mode, token: lock.token };
      records.push({ kind: "granted", ...record });
      granted += 1;
      if (granted % strikeEvery === 0) strikes.push(strike(local, granted / strikeEvery - 1));
      // A round trip under the lock, which the strike may hit.
      const held = await client.exists(lock.contender);
      expect(held?.czxid).toBe(lock.token);
      expect(lock.signal.aborted).toBe(false);
      records.push({ kind: "ended", ...record });
      await lock.release();
    }

    await Promise.all(lines.map(({ client }, index) => contend(client, index)));
    await Promise.all(strikes);
    expect(strikes.length).toBeGreaterThan(3);
    expect(faultsOf(records, contenders)).toEqual([]);
    expect(await lines[0]?.client.children(lockPath)).toEqual([]);
    expect(told.size).toBeGreaterThan(contenders / 2);
    expect(herdFaults(records, told)).toEqual([]);
    // And nothing else wakes anybody.
    const shared = records.filter(({ kind, mode }) => kind === "granted" && mode === "shared").length;
    const events = lines.reduce((sum, { transport }) => sum + transport.events, 0);
    expect(events).toBeGreaterThan(0);
    expect(events).toBeLessThanOrEqual(2 * contenders + shared);
  },
  patienceMs,
);

/** What a contender has, whichever way it came by it. */
interface Held {
  readonly token: bigint;
  /** A round trip under it, which a strike may hit. */
  keep(): Promise<void>;
  release(): Promise<void>;
}

interface Contest {
  overHttp(url: string): Promise<HttpGrant>;
  overSdk(zk: Client): Promise<Omit<Held, "keep"> & { readonly signal: AbortSignal }>;
  /** Beside the history: whether others see who holds. */
  seen?(url: string, token: bigint): Promise<void>;
}

async function takeThrough(contest: Contest, zk: Client): Promise<Held> {
  const never = new AbortController().signal;
  const held = await persistently(zk, never, () => contest.overSdk(zk));
  if (held === undefined) throw new Error("the client was closed");
  return {
    token: held.token,
    async keep() {
      await zk.exists("/");
      expect(held.signal.aborted).toBe(false);
    },
    release: () => held.release().catch(undefinedIfPassing),
  };
}

/** Everybody holds `rounds` times, while leaders and members are lost; its history. */
async function contest(local: LocalEnsemble, path: string, about: Contest): Promise<readonly SeatRecord[]> {
  const url = `${local.url}/v1/main/${path}`;
  const records: SeatRecord[] = [];
  let strikes = 0;
  let striking = Promise.resolve();
  const strikeEvery = Math.ceil((rounds * seatContenders) / 5);
  let granted = 0;

  async function hold(number: number, take: () => Promise<Held>): Promise<void> {
    records.push({ kind: "asked", hold: number });
    const held = await take();
    records.push({ kind: "granted", hold: number, token: held.token });
    granted += 1;
    if (granted % strikeEvery === 0) {
      const turn = strikes++;
      striking = striking.then(() => strike(local, turn));
    }
    for (let each = 0; each < keeps; each++) await held.keep();
    await about.seen?.(url, held.token);
    records.push({ kind: "ended", hold: number });
    await held.release();
  }

  async function contend(index: number): Promise<void> {
    const zk = connectThrough(tcpTransport([{ host: "127.0.0.1", port: local.zkPort }]), {
      ...{ sessionTimeout: "40s", operationTimeout: `${patienceMs}ms` },
    });
    cleanups.push(() => zk.close());
    const take = index % 2 === 0 ? () => takeThrough(about, zk) : () => about.overHttp(url);
    for (let round = 0; round < rounds; round++) await hold(index * rounds + round, take);
  }

  await Promise.all(Array.from({ length: seatContenders }, (_, index) => contend(index)));
  await striking;
  expect(strikes).toBeGreaterThan(3);
  return records;
}

test(
  `${seatContenders} contenders for ${seats} seats, and as many candidates, over HTTP and by the SDK, through lost leaders and members`,
  async () => {
    const local = await startMortal();
    const count = rounds * seatContenders;
    const [taken, led] = await Promise.all([
      contest(local, "semaphores/seats", {
        overHttp: (url) => HttpGrant.take(url, { seats }),
        overSdk: (zk) => takeSeat(zk, "/seats", { seats }),
      }),
      contest(local, "elections/leader", {
        overHttp: (url) => HttpGrant.take(url, { candidate: "over HTTP" }),
        overSdk: (zk) => stand(zk, "/leader", { id: "by the SDK" }),
        seen: expectLeader,
      }),
    ]);
    expect(seatFaults(taken, { seats, count })).toEqual([]);
    expect(seatFaults(led, { seats: 1, count })).toEqual([]);
  },
  patienceMs,
);

/** Whoever leads is the one that others see lead. */
async function expectLeader(url: string, token: bigint): Promise<void> {
  const response = await fetch(url).catch(() => undefined);
  // While the ensemble has no leader nobody answers.
  if (response?.status !== 200) return;
  const { leader }: { leader: { token: string } | null } = JSON.parse(await response.text());
  expect(leader === null ? undefined : BigInt(leader.token)).toBe(token);
}
