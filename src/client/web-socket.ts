/**
 * ZooKeeper's byte stream over the platform's WebSocket: browsers, Deno, Bun, Workers, Node 22 and later;
 * and through a service binding, from a Worker to the ensemble's Worker without a network in between.
 *
 * The token travels as a subprotocol, because a browser can set no header on an upgrade, and never in the URL.
 *
 * Source: `docs/http.md`, WebSocket.
 *
 * @module
 */

import type { Transport, WireEvents } from "./transport.ts";

const subprotocol = "zookeeper";

/** What is used of a WebSocket, whoever made it. */
export interface WebSocketLike {
  binaryType: string;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: WebSocketEvent) => void): void;
}

/** `data` of a message, `code` and `reason` of a close. */
export interface WebSocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** A binding to another Worker: its `fetch` answers an upgrade with an open socket. */
export interface ServiceBinding {
  fetch(
    url: string,
    init: { headers: Record<string, string> },
  ): Promise<{ status: number; webSocket?: (WebSocketLike & { accept(): void }) | null }>;
}

/** `wss://host/v1/main` and the like, any of `http:`, `https:`, `ws:`, `wss:`. */
export function webSocketTransport(url: URL, token: string | undefined, make: WebSocketClass): Transport {
  const target = connectUrl(url);
  target.protocol = target.protocol.replace(/^http/, "ws");
  const protocols = protocolsOf(token);
  return {
    target: url.href,
    open(events) {
      const socket = new make(target.href, protocols);
      return attach(socket, events, false);
    },
  };
}

/** What an upgrade asks for: the protocol, and what shows the token. */
export function protocolsOf(token: string | undefined): [string, ...string[]] {
  return token === undefined ? [subprotocol] : [subprotocol, `bearer.${base64url(token)}`];
}

export function bindingTransport(
  binding: ServiceBinding,
  ensemble: string,
  token: string | undefined,
): Transport {
  // The host is nobody's: a binding leads to its Worker whatever it says.
  const url = connectUrl(new URL(`https://edgekeeper/v1/${encodeURIComponent(ensemble)}`)).href;
  const headers: Record<string, string> = { Upgrade: "websocket", "Sec-WebSocket-Protocol": subprotocol };
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  return {
    target: `service binding, ensemble "${ensemble}"`,
    open(events) {
      let giveUp: (() => void) | undefined;
      let isGivenUp = false;
      binding.fetch(url, { headers }).then(
        ({ status, webSocket }) => {
          if (webSocket === undefined || webSocket === null) {
            if (!isGivenUp) events.closed(`the upgrade was answered with status ${status}`);
            return;
          }
          webSocket.accept();
          giveUp = attach(webSocket, events, true);
          if (isGivenUp) giveUp();
        },
        (error: unknown) => {
          if (!isGivenUp) events.closed(String(error));
        },
      );
      return () => {
        isGivenUp = true;
        giveUp?.();
      };
    },
  };
}

function attach(socket: WebSocketLike, events: WireEvents, isOpen: boolean): () => void {
  socket.binaryType = "arraybuffer";
  let isOver = false;
  function over(reason: string): void {
    if (isOver) return;
    isOver = true;
    events.closed(reason);
  }
  function giveUp(): void {
    isOver = true;
    // Some close while connecting by throwing; there is nothing left to close then.
    try {
      socket.close(1000);
    } catch {}
  }
  function opened(): void {
    if (isOver) return;
    events.opened({ send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>), close: giveUp });
  }
  socket.addEventListener("open", opened);
  socket.addEventListener("message", ({ data }) => {
    if (!isOver && data instanceof ArrayBuffer) events.received(new Uint8Array(data));
  });
  socket.addEventListener("close", ({ code = 1006, reason = "" }) => {
    over(`closed with ${code}${reason === "" ? "" : `, ${reason}`}`);
  });
  socket.addEventListener("error", () => over("the WebSocket could not be opened, or broke"));
  if (isOpen) opened();
  return giveUp;
}

export function connectUrl(url: URL): URL {
  const target = new URL(url);
  target.pathname = `${target.pathname.replace(/\/$/, "")}/connect`;
  return target;
}

function base64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
