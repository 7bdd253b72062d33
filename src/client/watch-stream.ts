/**
 * Watch streams of an ensemble, without a session: server-sent events over `fetch`, resumed by themselves.
 *
 * Apart from `connect`, and needs none of it. What is told goes on behind the last txn that was told in full, so
 * the loop misses nothing and sees nothing twice; what the ensemble has forgotten comes as `compacted`.
 *
 * Sources: `docs/http.md`, Watch streams; HTML Living Standard, "Server-sent events".
 *
 * @module
 */

import { ZkErrorCode, zkErrorName } from "../base/index.ts";
import { orAbort, pause } from "./abort.ts";
import { ZkError } from "./errors.ts";
import { type Clock, systemClock } from "./transport.ts";

/** As in the ensemble's JSON: what has 64 bits is hexadecimal text. */
export type StreamStat = Readonly<Record<string, string | number>>;

export interface StreamZnode {
  readonly path: string;
  readonly stat: StreamStat;
  /** With `values`: text, base64, or no data, as `encoding` says. */
  readonly value?: string | null;
  readonly encoding?: "utf8" | "base64" | "null";
  /** `NoAuth` where the value may not be read. */
  readonly codeName?: string;
}

export interface StreamChange extends StreamZnode {
  /** `stat` and `value` are those right after the change; a deleted znode's stat is its last. */
  readonly kind: "created" | "changed" | "deleted" | "acl";
  readonly zxid: string;
}

export type StreamEvent =
  | StreamChange
  /** What came before is not known any more: what there is, as of `zxid`. `more`: there is more than fits. */
  | {
      readonly kind: "compacted";
      readonly zxid: string;
      readonly znodes: readonly StreamZnode[];
      readonly more: boolean;
    }
  /** The loop was slow: of so many `events`, the last of each path follows. */
  | {
      readonly kind: "coalesced";
      readonly events: number;
      readonly kept: number;
      readonly after: string;
      readonly through: string;
    };

export interface WatchStreamOptions {
  /** The deployment's `EK_TOKEN`. */
  readonly token?: string | undefined;
  /** Default: by the end of the path: `/**` is the subtree above it, `/*` its children, else the znode alone. */
  readonly scope?: "znode" | "children" | "subtree" | undefined;
  /** Tell values, too. Default: no. */
  readonly values?: boolean | undefined;
  /** Everything after this zxid; `0x0` begins with what there is. Default: from now on. */
  readonly since?: string | undefined;
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** A service binding's, or another. Default: the global `fetch`. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** For tests. */
  readonly clock?: Clock | undefined;
}

/** The ensemble sends something each 15 s: a connection as silent as this is none. */
const silenceMsMax = 45_000;

/** Pauses before the stream is opened again: doubling, half of each by chance. */
const pauseMsFirst = 500;
const pauseMsLast = 15_000;

/** Statuses that another attempt may not get. */
const passing: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/**
 * Tells what happens to a znode, its children or a subtree, from a zxid on, until the loop is left.
 *
 * Connections that break are opened again. A slow loop slows the stream down, and hears of it.
 *
 * @param target - `https://host/v1/main`, also `http:`.
 * @param path - A znode's path, perhaps with a suffix for the scope. It need not exist.
 * @throws {@link ZkError} `BadArguments`; `NoAuth` when the znode may not be read; `AuthFailed` for a wrong token;
 *   `BadVersion` when nobody has got as far as `since`.
 * @example
 * for await (const event of watchStream("http://127.0.0.1:8787/v1/main", "/app/**", { values: true })) {
 *   if (event.kind === "changed") console.log(event.zxid, event.path, event.value);
 * }
 */
export async function* watchStream(
  target: string,
  path: string,
  options: WatchStreamOptions = {},
): AsyncGenerator<StreamEvent, void, undefined> {
  const { signal, clock = systemClock } = options;
  let { since } = options;
  const isOver = () => signal?.aborted === true;
  let pauseMs = pauseMsFirst;
  while (!isOver()) {
    try {
      for await (const { id, events } of readOnce(urlOf(target, path, options, since), options, clock)) {
        since = id;
        pauseMs = pauseMsFirst;
        yield* events;
      }
    } catch (error) {
      if (isOver()) return;
      if (error instanceof ZkError) throw error;
    }
    await pause(clock, pauseMs * (0.5 + clock.random() / 2), signal).catch(() => undefined);
    pauseMs = Math.min(2 * pauseMs, pauseMsLast);
  }
}

/** What may be resumed behind: everything through a zxid. */
interface Told {
  readonly id: string;
  readonly events: readonly StreamEvent[];
}

function urlOf(
  target: string,
  path: string,
  { scope, values = false }: WatchStreamOptions,
  since: string | undefined,
): string {
  const url = new URL(target);
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  url.pathname = `${url.pathname.replace(/\/$/, "")}/watch${encoded}`;
  if (scope !== undefined) url.searchParams.set("scope", scope);
  if (values) url.searchParams.set("with", "value");
  if (since !== undefined) url.searchParams.set("since", since);
  return url.href;
}

/** One connection, until it ends; throws when it breaks, and a {@link ZkError} when it is refused for good. */
async function* readOnce(
  url: string,
  { token, signal, fetch: open = fetch }: WatchStreamOptions,
  clock: Clock,
): AsyncGenerator<Told, void, undefined> {
  const abort = new AbortController();
  const stop = () => abort.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  const timed = async <Value>(promise: Promise<Value>): Promise<Value> => {
    // What fails when it is given up already is nobody's error.
    promise.catch(() => undefined);
    const timer = clock.setTimer(() => abort.abort(new Error("the stream is silent")), silenceMsMax);
    return orAbort(promise, abort.signal).finally(() => clock.clearTimer(timer));
  };
  try {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await timed(open(url, { headers, signal: abort.signal }));
    if (response.status !== 200 || response.body === null) throw await refusalIn(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let held: StreamEvent[] = [];
    for (;;) {
      const { value, done } = await timed(reader.read());
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const { id, event } = parseBlock(block);
        if (event !== undefined) held.push(event);
        // Until a txn is told in full there is nothing to resume behind.
        if (id === undefined) continue;
        yield { id, events: held };
        held = [];
      }
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    abort.abort();
  }
}

function parseBlock(block: string): {
  readonly id: string | undefined;
  readonly event: StreamEvent | undefined;
} {
  const fields = new Map(
    block.split("\n").map((line) => [line.split(": ", 1)[0], line.replace(/^.*?: /, "")]),
  );
  const kind = fields.get("event");
  const data = fields.get("data");
  const isTold =
    kind !== undefined && data !== undefined && !["subscribed", "progress", "ended"].includes(kind);
  // The ensemble's own JSON: kinds that are not known here are of a later version, and passed on.
  return { id: fields.get("id"), event: isTold ? { ...JSON.parse(data), kind } : undefined };
}

/** What to throw for an answer that is no stream: worth another attempt, or not. */
async function refusalIn(response: Response): Promise<Error> {
  const problem: unknown = await response.json().catch(() => undefined);
  const { detail, code, path } = fieldsOf(problem);
  const message = typeof detail === "string" ? detail : `Cannot open the stream: status ${response.status}`;
  if (passing.has(response.status)) return new Error(message);
  const isCode = typeof code === "number" && zkErrorName(code) !== undefined;
  const known = response.status === 412 ? ZkErrorCode.BadVersion : ZkErrorCode.BadArguments;
  return new ZkError({
    code: isCode ? (code as ZkErrorCode) : known,
    message,
    path: typeof path === "string" ? path : undefined,
  });
}

function fieldsOf(value: unknown): Readonly<Partial<Record<"detail" | "code" | "path", unknown>>> {
  return typeof value === "object" && value !== null ? value : {};
}
