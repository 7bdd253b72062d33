/**
 * The JSON messages of a watch stream, subprotocol `edgekeeper.watch.v1`: what a client may say, and how it
 * is told.
 *
 * A client's message is taken whole or not at all: what cannot be read, has a field too many or one that is
 * out of range is answered with an `error`, and changes nothing. The table of messages is in `docs/http.md`.
 *
 * @module
 */

import {
  formatZxid,
  jsonValue,
  parseZxid,
  statJson,
  ZkErrorCode,
  type ZkErrorName,
  type Znode,
  type Zxid,
} from "../base/index.ts";
import {
  type Change,
  parseStreamFilter,
  type StreamFilter,
  type StreamScope,
  statOf,
  streamScopes,
} from "../tree/index.ts";

/** UTF-16 units of a client's message. */
export const messageUnitsMax = 16 * 1024;

/** UTF-16 units of a subscription's id. */
export const subscriptionIdUnitsMax = 64;

export interface Subscribe {
  readonly type: "subscribe";
  readonly id: string;
  readonly filter: StreamFilter;
  readonly withValue: boolean;
  /** Everything after it is told; `undefined`: everything from now on. */
  readonly since: Zxid | undefined;
  /** The stream begins no earlier. */
  readonly floor: Zxid | undefined;
}

export type ClientMessage =
  | Subscribe
  | { readonly type: "unsubscribe"; readonly id: string }
  /** Everything through `seq` has been taken in. */
  | { readonly type: "ack"; readonly seq: number };

/** Why a message did nothing. */
export interface Fault {
  /** The subscription it was about, where that could be read. */
  readonly id?: string | undefined;
  readonly codeName: ZkErrorName;
  /** The action, a colon, why. */
  readonly detail: string;
}

/** Total: whatever was sent is a message or a fault. */
export function parseClientMessage(text: string): ClientMessage | { readonly fault: Fault } {
  try {
    return readMessage(text);
  } catch (error) {
    if (error instanceof Unreadable) return { fault: error.fault };
    throw error;
  }
}

class Unreadable extends Error {
  readonly fault: Fault;

  constructor(detail: string, id?: string) {
    super(detail);
    this.fault = { id, codeName: "BadArguments", detail };
  }
}

type Fields = Readonly<Partial<Record<string, unknown>>>;

const fieldsOf: Readonly<Partial<Record<string, readonly string[]>>> = {
  subscribe: ["type", "id", "path", "scope", "with", "since", "floor"],
  unsubscribe: ["type", "id"],
  ack: ["type", "seq"],
};

function readMessage(text: string): ClientMessage {
  if (text.length > messageUnitsMax) {
    throw new Unreadable(`Cannot read the message: it is longer than ${messageUnitsMax} characters`);
  }
  const fields = readObject(text);
  const { type } = fields;
  const id = isSubscriptionId(fields["id"]) ? fields["id"] : undefined;
  const known = typeof type === "string" && Object.hasOwn(fieldsOf, type) ? fieldsOf[type] : undefined;
  if (known === undefined) {
    throw new Unreadable('Cannot read the message: "type" is not subscribe, unsubscribe or ack', id);
  }
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    throw new Unreadable(`Cannot ${type}: ${quoted(name)} is not a field of it, ${known.join(", ")} are`, id);
  }
  if (type === "ack") return { type, seq: readSeq(fields["seq"]) };
  if (id === undefined) {
    throw new Unreadable(`Cannot ${type}: "id" is not a text of 1 to ${subscriptionIdUnitsMax} characters`);
  }
  return type === "unsubscribe" ? { type, id } : readSubscribe(fields, id);
}

function readObject(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Said below.
  }
  throw new Unreadable("Cannot read the message: it is no JSON object");
}

function readSubscribe(fields: Fields, id: string): Subscribe {
  const { path, scope } = fields;
  if (typeof path !== "string") throw new Unreadable('Cannot subscribe: "path" is no text', id);
  if (scope !== undefined && !isScope(scope)) {
    throw new Unreadable(`Cannot subscribe: "scope" is not ${streamScopes.join(", ")}`, id);
  }
  const filter = parseStreamFilter(path, scope);
  if ("fault" in filter) throw new Unreadable(`Cannot subscribe to ${quoted(path)}: ${filter.fault}`, id);
  if (fields["with"] !== undefined && fields["with"] !== "value") {
    throw new Unreadable('Cannot subscribe: "with" is not value', id);
  }
  return {
    ...{ type: "subscribe", id, filter },
    withValue: fields["with"] === "value",
    since: readZxid(fields["since"], "since", id),
    floor: readZxid(fields["floor"], "floor", id),
  };
}

function readSeq(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Unreadable('Cannot ack: "seq" is no whole number');
}

function readZxid(value: unknown, name: string, id: string): Zxid | undefined {
  if (value === undefined) return undefined;
  const zxid = typeof value === "string" ? parseZxid(value) : undefined;
  if (zxid !== undefined) return zxid;
  throw new Unreadable(`Cannot subscribe: "${name}" is no zxid, which is 0x and hex digits`, id);
}

function isSubscriptionId(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= subscriptionIdUnitsMax;
}

function isScope(value: unknown): value is StreamScope {
  return streamScopes.some((scope) => scope === value);
}

/** Shortened, for a client may send anything. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

/** What a subscription is told of one change: nothing but the stat, unless it may and wants to know more. */
export interface StreamEvent {
  readonly zxid: Zxid;
  readonly change: Change;
  readonly value: "none" | "told" | "denied";
}

export function eventJson({ zxid, change, value }: StreamEvent): string {
  const { kind, path, znode } = change;
  return JSON.stringify({ zxid: formatZxid(zxid), kind, ...znodeJson(path, znode, value) });
}

export function znodeJson(path: string, znode: Znode, value: StreamEvent["value"]) {
  return {
    path,
    stat: statJson(statOf(znode)),
    ...(value === "told" && jsonValue(znode.data)),
    ...(value === "denied" && { codeName: "NoAuth" }),
  };
}

/** Its events are JSON already: the same text goes to everybody. */
export function eventsMessage(id: string, seq: number, zxid: Zxid, events: readonly string[]): string {
  const head = JSON.stringify({ type: "events", id, seq, zxid: formatZxid(zxid) }).slice(0, -1);
  return `${head},"events":[${events.join(",")}]}`;
}

export function errorMessage({ id, codeName, detail }: Fault): string {
  return JSON.stringify({ type: "error", id, code: ZkErrorCode[codeName], codeName, detail });
}
