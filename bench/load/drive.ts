/**
 * A closed loop: connections that each keep their share outstanding, measured for a while after a warm-up.
 *
 * Closed means that a slow server is asked less: latencies are those of this load, not of a fixed rate.
 *
 * @module
 */

import { type Address, LoadConnection } from "./connection.ts";
import { Histogram, type Percentiles } from "./histogram.ts";
import type { Ring } from "./ring.ts";

export interface Load {
  /** Connection `i` goes to address `i`, round and round. */
  readonly addresses: readonly Address[];
  readonly connections: number;
  /** Over all connections, which it is a multiple of. */
  readonly outstanding: number;
  /** What connection `i` sends; at least twice what it keeps outstanding. */
  readonly ringOf: (index: number) => Ring;
  readonly warmMs: number;
  readonly windowMs: number;
  readonly isEcho?: boolean | undefined;
}

export interface Driven {
  readonly perSecond: number;
  readonly latency: Percentiles;
}

/** Past this a server that still owes replies has failed. */
const drainTimeoutMs = 60_000;

/** @throws On the first error reply, wrong xid or lost connection. */
export async function drive(load: Load): Promise<Driven> {
  const failure = new Failure();
  const connections = await openAll(load.addresses, load.connections, {
    isEcho: load.isEcho,
    onFailure: (error) => failure.set(error),
  });
  try {
    return await failure.orElse(measure(load, connections));
  } finally {
    if (failure.isSet) for (const connection of connections) connection.destroy();
    else await Promise.all(connections.map((connection) => connection.close()));
  }
}

async function measure(load: Load, connections: readonly LoadConnection[]): Promise<Driven> {
  const histogram = new Histogram();
  let isRecording = false;
  const onReply = (ms: number): void => {
    if (isRecording) histogram.record(ms);
  };
  let running = connections.length;
  const drained = new Promise<void>((resolve) => {
    const onDone = () => {
      running -= 1;
      if (running === 0) resolve();
    };
    const width = load.outstanding / connections.length;
    for (const [index, connection] of connections.entries()) {
      connection.start({ ring: load.ringOf(index), width, onReply, onDone });
    }
  });
  await pause(load.warmMs);
  isRecording = true;
  const beganMs = performance.now();
  await pause(load.windowMs);
  isRecording = false;
  const elapsedMs = performance.now() - beganMs;
  for (const connection of connections) connection.stop();
  await within(drainTimeoutMs, "the last replies", drained);
  return { perSecond: (histogram.count * 1000) / elapsedMs, latency: histogram.percentiles() };
}

/** Opens as many as wanted, sixteen at a time. */
export async function openAll(
  addresses: readonly Address[],
  count: number,
  options: Parameters<typeof LoadConnection.open>[1],
): Promise<LoadConnection[]> {
  const connections: LoadConnection[] = [];
  let opened = 0;
  const work = async (): Promise<void> => {
    while (opened < count) {
      const address = addresses[opened++ % addresses.length];
      if (address === undefined) throw new Error("no address to connect to");
      connections.push(await LoadConnection.open(address, options));
    }
  };
  await Promise.all(Array.from({ length: Math.min(16, count) }, work));
  return connections;
}

/** The first failure among many connections. */
export class Failure {
  readonly #happened: Promise<never>;
  #reject: (error: Error) => void = () => undefined;
  isSet = false;

  constructor() {
    this.#happened = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.#happened.catch(() => undefined);
  }

  set(error: Error): void {
    this.isSet = true;
    this.#reject(error);
  }

  orElse<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([work, this.#happened]);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function within<Value>(ms: number, what: string, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
