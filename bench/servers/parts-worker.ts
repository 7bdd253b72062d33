/**
 * The parts of a write's way, one by one: an object that answers every message, with or without a row of its
 * own, a call to one or two others, and rows of theirs. What each adds to the latency is the runtime's share
 * of a write; what edgekeeper takes beyond all of them is its own.
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

interface Parts {
  /** Objects called. The first answer is enough, as with three members. */
  readonly calls: number;
  readonly own: "none" | "before" | "after";
  /** Whether those called append too. */
  readonly theirs: boolean;
}

const answer = new Uint8Array(60);

export class Member extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  #parts: Parts = { calls: 0, own: "none", theirs: false };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql.exec("CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, message BLOB NOT NULL)");
  }

  take(parts: Parts): void {
    this.#parts = parts;
  }

  exchange(message: ArrayBuffer, isStored: boolean): Uint8Array {
    if (isStored) this.#append(message);
    return answer;
  }

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const headers = { "Sec-WebSocket-Protocol": "zookeeper" };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void {
    if (typeof message === "string") return;
    const { calls, own } = this.#parts;
    if (own === "before") this.#append(message);
    if (calls > 0) void this.#ask(message).then(() => socket.send(message));
    if (own === "after") this.#append(message);
    if (calls === 0) socket.send(message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code);
  }

  #ask(message: ArrayBuffer): Promise<unknown> {
    const asked = Array.from({ length: this.#parts.calls }, (_, index) =>
      this.env.MEMBER.getByName(`main/${index + 2}`).exchange(message, this.#parts.theirs),
    );
    return Promise.race(asked);
  }

  #append(message: ArrayBuffer): void {
    this.#sql.exec("INSERT INTO log (message) VALUES (?)", message);
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/v1/main/znodes/") return new Response();
    const member = env.MEMBER.getByName("main/1");
    if (pathname !== "/bench/parts") return member.fetch(request);
    const own = searchParams.get("own");
    await member.take({
      calls: Number(searchParams.get("calls")),
      own: own === "before" || own === "after" ? own : "none",
      theirs: searchParams.get("theirs") === "true",
    });
    return new Response(null, { status: 204 });
  },
};
