/**
 * Watch streams: `GET /v1/{ensemble}/watch/{path}` as server-sent events, and `GET /v1/{ensemble}/watch` with
 * `Upgrade: websocket` for many subscriptions on one socket.
 *
 * A WebSocket of subprotocol `edgekeeper.watch.v1` is handed to the member, and the Worker is out of the way. For
 * events the Worker is the socket's client: it subscribes, and translates (`event-relay.ts`). What the member
 * refuses is a problem with its status, and not yet a stream.
 *
 * Any member will do, since any can tell how far it is: the nearest is asked.
 *
 * @module
 */

import type { Context } from "hono";
import { parseZxid, ZkErrorCode, zkErrorName } from "../../base/index.ts";
import type { NotServed } from "../../objects/index.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import { EventRelay } from "../event-relay.ts";
import { readFloor } from "../floor.ts";
import type { LeaderRouter } from "../leader.ts";
import { connectMs } from "../limits.ts";
import { checkUpgrade, openSocket, refusedSocket, withSubprotocol } from "../member-sockets.ts";
import { badRequest, Problem, problemOfCode } from "../problems.ts";
import { readMember, readQuery } from "../queries.ts";
import { pathOf, quoted } from "./shared.ts";

const subprotocol = "edgekeeper.watch.v1";

/** The second asks proxies that gather what they pass on not to. */
const streamHeaders = { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" };

export async function watchSocket(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const query = readQuery(c.req.url, ["member"]);
  checkUpgrade(c.req.raw, subprotocol);
  const ensemble = c.get("ensemble");
  const whom = await readMember(query.member ?? "nearest", ensemble);
  const action = `Cannot open a watch stream at ensemble "${ensemble.name}"`;
  const headers = listenerOf(c);
  const { reply } = await router.run(ensemble, {
    ...{ action, effect: "none", whom },
    attemptMs: () => connectMs,
    attempt: (member) => openSocket(member, ensemble, whom, headers),
  });
  if (reply.kind === "refused") throw refusedSocket(action, reply.status);
  return withSubprotocol(reply.response, subprotocol);
}

/** Who listens, as the member is told. */
function listenerOf(c: Context<AppEnv>): Readonly<Record<string, string>> {
  const { identities } = c.get("caller");
  return { "Ek-Stream-Identities": encodeURIComponent(JSON.stringify(identities)) };
}

export async function watchEvents(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  // A HEAD comes here as well, and a stream that nobody reads is opened for nothing.
  if (c.req.raw.method !== "GET") return new Response(null, { headers: streamHeaders });
  const path = pathOf(c.req.raw);
  const action = `Cannot watch ${quoted(path)}`;
  const query = readQuery(c.req.url, ["scope", "with", "since", "member"]);
  // Without an id so far, it is empty.
  const lastEventId = c.req.header("Last-Event-ID") || undefined;
  const ensemble = c.get("ensemble");
  const whom = await readMember(query.member ?? "nearest", ensemble);
  const subscribe = JSON.stringify({
    ...{ type: "subscribe", id: "0", path, scope: query.scope, with: query.with },
    // A browser that reconnects says how far it was; what the URL says is older.
    since: zxidIn(lastEventId, "Last-Event-ID") ?? zxidIn(query.since, "since"),
    floor: readFloor(c.req.raw.headers),
  });
  const headers = listenerOf(c);
  const attempts = new Set<Listening>();
  let listening: Listening | undefined;
  try {
    const { reply } = await router.run(ensemble, {
      ...{ action, path, effect: "none", whom },
      attemptMs: () => connectMs,
      attempt: async (member: MemberStub): Promise<Attempt> => {
        const opened = await openSocket(member, ensemble, whom, headers);
        if (opened.kind !== "upgraded") return opened;
        const attempt = new Listening(opened.response);
        attempts.add(attempt);
        return attempt.begin(subscribe);
      },
    });
    if (reply.kind === "refused") throw refusedSocket(action, reply.status);
    if (reply.kind === "fault") throw problemOf(reply.fault, action, path);
    listening = reply.listening;
    if (reply.zxid !== undefined) c.set("zxid", reply.zxid);
    return new Response(listening.relay.body, { headers: streamHeaders });
  } finally {
    for (const attempt of attempts) if (attempt !== listening) attempt.abandon();
  }
}

type Attempt =
  /** `zxid`: everything after it is told. */
  | { readonly kind: "listening"; readonly listening: Listening; readonly zxid: string | undefined }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "refused"; readonly status: number }
  | NotServed;

interface Fault {
  readonly code: number;
  readonly detail: string;
}

/** A socket whose other end is this Worker. */
class Listening {
  readonly relay: EventRelay;
  readonly #socket: WebSocket | null;
  #settle: ((attempt: Attempt) => void) | undefined;
  #isAbandoned = false;

  constructor({ webSocket }: Response) {
    this.#socket = webSocket;
    this.relay = new EventRelay({
      send: (text) => this.#send(text),
      close: (code, reason) => webSocket?.close(code, reason),
    });
    webSocket?.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.#hear(data);
    });
    webSocket?.addEventListener("close", ({ reason }) => this.#lost(reason || "the connection was lost"));
    webSocket?.addEventListener("error", () => this.#lost("the connection was lost"));
    webSocket?.accept();
  }

  /** Settles with the member's word on the subscription. */
  begin(subscribe: string): Promise<Attempt> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (this.#isAbandoned) this.#lost("abandoned");
      else this.#send(subscribe);
    });
  }

  /** Nobody will read what it hears. */
  abandon(): void {
    this.#isAbandoned = true;
    this.relay.end("abandoned");
    this.#socket?.close(1000, "abandoned");
  }

  /** One that has closed meanwhile is heard of as `close`. */
  #send(text: string): void {
    try {
      this.#socket?.send(text);
    } catch {
      this.#lost("the connection was lost");
    }
  }

  #hear(text: string): void {
    if (this.#settle !== undefined) this.#decide(text);
    this.relay.take(text);
  }

  #decide(text: string): void {
    const { type, code, detail, zxid } = JSON.parse(text) as Record<string, unknown>;
    if (type !== "subscribed" && type !== "error") return;
    const settle = this.#settle;
    this.#settle = undefined;
    if (type === "subscribed")
      settle?.({ kind: "listening", listening: this, zxid: typeof zxid === "string" ? zxid : undefined });
    // It has just lost its leader: another member may have one.
    else if (code === ZkErrorCode.ConnectionLoss) settle?.({ kind: "notLeader", leader: 0 });
    else settle?.({ kind: "fault", fault: { code: Number(code), detail: String(detail) } });
  }

  #lost(reason: string): void {
    this.#settle?.({ kind: "notLeader", leader: 0 });
    this.#settle = undefined;
    this.relay.end(reason);
    // The platform wants both ends closed.
    this.#socket?.close(1000, reason);
  }
}

function problemOf({ code, detail }: Fault, action: string, path: string): Problem {
  const reason = detail.slice(detail.indexOf(": ") + 2);
  const name = zkErrorName(code);
  if (name === "BadVersion") {
    const title = "Nothing as late is committed";
    return new Problem({
      slug: "behind",
      title,
      status: 412,
      detail: `${action}: ${reason}`,
      more: { path },
    });
  }
  const known = name === undefined ? ZkErrorCode.SystemError : ZkErrorCode[name];
  return problemOfCode(known, { action, path, reason });
}

function zxidIn(text: string | undefined, name: string): string | undefined {
  if (text === undefined || parseZxid(text) !== undefined) return text;
  throw badRequest(`Cannot read ${name}: "${text.slice(0, 100)}" is no zxid, which is 0x and hex digits`);
}
