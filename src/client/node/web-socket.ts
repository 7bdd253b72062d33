/**
 * An ensemble over a WebSocket, from any Node: versions before 22 have none of their own, and the one of later
 * versions costs more (`docs/decisions/0007-the-gateway-has-its-own-websocket-client.md`).
 *
 * @module
 */

import { type OutgoingWebSocket, openWebSocket } from "../../websocket/index.ts";
import type { Transport, WireEvents } from "../transport.ts";
import { connectUrl, protocolsOf } from "../web-socket.ts";

export function nodeWebSocketTransport(url: URL, token: string | undefined): Transport {
  const target = { url: connectUrl(url), protocols: protocolsOf(token), headers: {} };
  return { target: url.href, open: (events) => open(target, events) };
}

function open(target: Parameters<typeof openWebSocket>[0], events: WireEvents): () => void {
  let isOver = false;
  let webSocket: OutgoingWebSocket | undefined;
  function over(reason: string): void {
    if (isOver) return;
    isOver = true;
    events.closed(reason);
  }
  const abandon = openWebSocket(target, {
    onOpen(opened) {
      webSocket = opened;
      events.opened({ send: (bytes) => void opened.send([bytes]), close: giveUp });
    },
    onRefused: (reason) => over(`the upgrade was refused: ${reason}`),
    onBytes(chunks) {
      for (const chunk of chunks)
        if (!isOver) events.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    },
    onText: () => undefined,
    onDrain: () => undefined,
    onClose: (code) => over(`closed with ${code}`),
  });
  function giveUp(): void {
    isOver = true;
    if (webSocket === undefined) abandon();
    else webSocket.close(1000);
  }
  return giveUp;
}
