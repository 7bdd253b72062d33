/**
 * What a measure is: a name, whom it can be put to, and one repeat of it.
 *
 * @module
 */

import type { ClientRequest } from "../../src/base/index.ts";
import { ZkErrorCode } from "../../src/base/index.ts";
import { LoadConnection } from "../load/connection.ts";
import { Failure } from "../load/drive.ts";
import type { Percentiles } from "../load/histogram.ts";
import type { MeasureInfo } from "../results.ts";
import type { System } from "../servers/system.ts";

export interface Timing {
  readonly warmMs: number;
  readonly windowMs: number;
  /** Of what is measured event by event, in one repeat. */
  readonly rounds: number;
}

export interface Figure {
  readonly value: number;
  readonly latency?: Percentiles | undefined;
}

export interface Measure extends MeasureInfo {
  /** Part of a quick run. */
  readonly isQuick: boolean;
  /** Whom it is put to, in one ensemble of theirs. */
  readonly systems: readonly SystemKind[];
  /** Members of those systems. Default: as the run was asked for. */
  readonly members?: number | undefined;
  /** What it does to leaders: systems whose leader is not ours are left out. */
  readonly strikes?: "kill" | "hang" | undefined;
  /** Once per system, before the first repeat. */
  readonly prepare?: ((system: System) => Promise<void>) | undefined;
  readonly run: (system: System, timing: Timing) => Promise<Figure>;
}

/** Which of the servers: started when the first measure wants it. `fresh`: one of its own each repeat. */
export type SystemKind =
  | "edgekeeper"
  | "zookeeper"
  | "bare object"
  | "abortable edgekeeper"
  | "fresh edgekeeper"
  | "fresh zookeeper";

/** One connection for as long as `work` takes. */
export async function withConnection<Value>(
  system: System,
  work: (connection: LoadConnection) => Promise<Value>,
): Promise<Value> {
  const address = system.addresses[0];
  if (address === undefined) throw new Error(`${system.name} has no address`);
  const failure = new Failure();
  const connection = await LoadConnection.open(address, { onFailure: (error) => failure.set(error) });
  try {
    const value = await failure.orElse(work(connection));
    await connection.close();
    return value;
  } finally {
    connection.destroy();
  }
}

/** Has znodes made; those that exist already are left as they are. */
export function ensure(system: System, requests: readonly ClientRequest[]): Promise<void> {
  return withConnection(system, (connection) =>
    connection.exchange(requests, { allowed: [ZkErrorCode.NodeExists] }),
  );
}
