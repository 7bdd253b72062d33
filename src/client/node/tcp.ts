/**
 * ZooKeeper's own port, from Node: any ZooKeeper 3.6 or later, and our gateway.
 *
 * Servers are tried in a shuffled order, round and round, as ZooKeeper's `StaticHostProvider` does.
 *
 * @module
 */

import { connect } from "node:net";
import type { Transport, WireEvents } from "../transport.ts";

/** How long a connection to one server may take, ms. */
const connectTimeoutMs = 5_000;

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export function tcpTransport(servers: readonly HostAndPort[]): Transport {
  const order = servers
    .map((server) => ({ server, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ server }) => server);
  let next = 0;
  return {
    target: servers.map(({ host, port }) => `${host}:${port}`).join(","),
    open(events) {
      const server = order[next % order.length];
      next += 1;
      if (server === undefined) throw new Error("a connection string names a server");
      return open(server, events);
    },
  };
}

function open({ host, port }: HostAndPort, events: WireEvents): () => void {
  const socket = connect({ host, port, noDelay: true });
  let isOver = false;
  let reason = "the server closed the connection";
  const timer = setTimeout(() => {
    reason = `no connection to ${host}:${port} within ${connectTimeoutMs} ms`;
    socket.destroy();
  }, connectTimeoutMs);
  function giveUp(): void {
    isOver = true;
    clearTimeout(timer);
    // What was written, a goodbye among it, still leaves.
    socket.destroySoon();
  }
  socket.once("connect", () => {
    clearTimeout(timer);
    if (!isOver) events.opened({ send: (bytes) => void socket.write(bytes), close: giveUp });
  });
  socket.on("data", (chunk) => {
    // A plain array: a Buffer's `slice` would share its memory with whoever gets a value.
    if (!isOver) events.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  });
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.once("close", () => {
    clearTimeout(timer);
    if (!isOver) events.closed(reason);
  });
  return giveUp;
}
