/**
 * What the SDK shows of a znode: its value as bytes, text or JSON, and its Stat with zxids as `bigint`.
 *
 * @module
 */

import { type Stat, type WatchedEvent, ZkErrorCode, zxidToBigint } from "../base/index.ts";
import { ZkError } from "./errors.ts";

/** A value to store: text is stored as UTF-8; `null` is no data at all, which is not the same as empty. */
export type Data = string | Uint8Array | null;

/** A znode's Stat, field for field as ZooKeeper's; zxids and the owner are 64 bits, so `bigint`. */
export interface ZnodeStat {
  /** Of the txn that created it. */
  readonly czxid: bigint;
  /** Of the txn that last changed its data. */
  readonly mzxid: bigint;
  /** Of the txn that last created or deleted a child. */
  readonly pzxid: bigint;
  /** Ms since 1970, by the leader's clock. */
  readonly ctime: number;
  readonly mtime: number;
  /** How often the data was set: what `version` options are compared with. */
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  /** The session that owns an ephemeral znode; 0 for all others. */
  readonly ephemeralOwner: bigint;
  /** Bytes. */
  readonly dataLength: number;
  readonly numChildren: number;
}

/** The part of Standard Schema that is used: what zod, valibot, arktype and others implement. */
export interface Schema<Output> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** A znode as it was read. */
export class Znode {
  readonly path: string;
  /** As stored; `null` for a znode without data. */
  readonly data: Uint8Array | null;
  readonly stat: ZnodeStat;

  constructor(path: string, data: Uint8Array | null, stat: ZnodeStat) {
    this.path = path;
    this.data = data;
    this.stat = stat;
  }

  /** The data as UTF-8; empty without data. */
  get text(): string {
    return this.data === null ? "" : decoder.decode(this.data);
  }

  /**
   * The data as JSON, through a schema when one is given (anything that implements Standard Schema).
   *
   * @throws {@link ZkError} `MarshallingError` when it is no JSON, or not what the schema wants.
   */
  async json<Output = unknown>(schema?: Schema<Output>): Promise<Output> {
    let value: unknown;
    try {
      value = JSON.parse(this.text);
    } catch (cause) {
      throw this.#unreadable("it is not JSON", cause);
    }
    // Without a schema the caller vouches for the type.
    if (schema === undefined) return value as Output;
    const result = await schema["~standard"].validate(value);
    if (result.issues === undefined) return result.value;
    throw this.#unreadable(result.issues.map(({ message }) => message).join("; "), undefined);
  }

  #unreadable(why: string, cause: unknown): ZkError {
    const message = `Cannot read the value of "${this.path}": ${why}`;
    return new ZkError({ code: ZkErrorCode.MarshallingError, message, path: this.path, cause });
  }
}

/** What a watcher is told. */
export interface ZnodeEvent {
  readonly kind: "created" | "deleted" | "dataChanged" | "childrenChanged";
  readonly path: string;
}

const kinds = { 1: "created", 2: "deleted", 3: "dataChanged", 4: "childrenChanged" } as const;

export function znodeEvent({ type, path }: WatchedEvent): ZnodeEvent {
  return { kind: kinds[type], path };
}

/** Data to store that is the JSON text of `value`. */
export function json(value: unknown): string {
  return JSON.stringify(value);
}

export function dataBytes(data: Data): Uint8Array | null {
  return typeof data === "string" ? encoder.encode(data) : data;
}

export function znodeStat(stat: Stat): ZnodeStat {
  return {
    ...stat,
    czxid: zxidToBigint(stat.czxid),
    mzxid: zxidToBigint(stat.mzxid),
    pzxid: zxidToBigint(stat.pzxid),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: false });
