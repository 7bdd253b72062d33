/**
 * A Worker for the local runtime's own tests: its member echoes what a WebSocket sends and keeps a
 * counter in SQLite; it answers the readiness question of a start.
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export class Member extends DurableObject<Env> {
  override fetch(request: Request): Response {
    if (request.headers.get("Upgrade") !== "websocket") return new Response(String(this.#count()));
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "Sec-WebSocket-Protocol": "zookeeper" },
    });
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void {
    socket.send(message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code);
  }

  #count(): number {
    const count = ((this.ctx.storage.kv.get("count") as number | undefined) ?? 0) + 1;
    this.ctx.storage.kv.put("count", count);
    return count;
  }
}

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/main/znodes/") return new Response();
    if (pathname === "/log") console.log("told to log");
    return env.MEMBER.getByName("main/1").fetch(request);
  },
};
