/**
 * The ceiling: one object that appends a row per message and sends the message back. No members to ask, no
 * tree, no sessions; the same gateway, runtime and disk. What it does a second is the most that anything
 * behind this door could.
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export class Member extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql.exec("CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, message BLOB NOT NULL)");
  }

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "Sec-WebSocket-Protocol": "zookeeper" },
    });
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void {
    this.#sql.exec("INSERT INTO log (message) VALUES (?)", message);
    // The output gate holds it until the row is on disk.
    socket.send(message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code);
  }
}

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    if (new URL(request.url).pathname === "/v1/main/znodes/") return new Response();
    return env.MEMBER.getByName("main/1").fetch(request);
  },
};
