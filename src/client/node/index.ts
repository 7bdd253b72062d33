/**
 * The SDK on Node: everything of `edgekeeper/client`, and ZooKeeper's own port, so any ZooKeeper, over TCP.
 *
 * @module
 */

import type { Client } from "../client.ts";
import { type BindingTarget, type ConnectOptions, connectThrough, transportTo } from "../connect.ts";
import { badArguments } from "../errors.ts";
import type { Transport } from "../transport.ts";
import { type HostAndPort, tcpTransport } from "./tcp.ts";
import { nodeWebSocketTransport } from "./web-socket.ts";

export * from "../index.ts";

const scheme = "zookeeper://";
const portDefault = 2181;

/**
 * Connects to an ensemble, or to ZooKeeper. Returns at once: what is asked meanwhile waits for the connection.
 *
 * @param target - `zookeeper://host:2181,other:2181/chroot`; `https://host/v1/main` (or `http:`, `wss:`,
 *   `ws:`); or a service binding.
 * @throws {@link ZkError} `BadArguments` for a target or an option that makes no sense.
 * @example
 * await using zk = connect("zookeeper://127.0.0.1:2181");
 * await zk.create("/test", "data");
 */
export function connect(target: string | URL | BindingTarget, options: ConnectOptions = {}): Client {
  if (!isUrl(target) || !String(target).startsWith(scheme)) {
    return connectThrough(nodeTransportTo(target, options), options);
  }
  const { servers, chroot } = parseConnectString(String(target).slice(scheme.length));
  if (chroot !== "/" && options.chroot !== undefined) {
    throw badArguments("Cannot connect: two chroots, one in the target and one in the options");
  }
  return connectThrough(tcpTransport(servers), { ...options, chroot: options.chroot ?? chroot });
}

function isUrl(target: string | URL | BindingTarget): target is string | URL {
  return typeof target === "string" || target instanceof URL;
}

/** By our own WebSocket, but where the platform only looks like Node, or another one is wanted. */
function nodeTransportTo(target: string | URL | BindingTarget, options: ConnectOptions): Transport {
  const isNode = process.versions["bun"] === undefined && process.versions["deno"] === undefined;
  const webSocket = options.webSocket ?? (isNode ? undefined : globalThis.WebSocket);
  return transportTo(target, { ...options, webSocket }, nodeWebSocketTransport);
}

/** `host:port,host:port/chroot`, as ZooKeeper's clients take it (Java `ConnectStringParser`). */
function parseConnectString(text: string): { servers: readonly HostAndPort[]; chroot: string } {
  const slash = text.indexOf("/");
  const hosts = slash < 0 ? text : text.slice(0, slash);
  const chroot = slash < 0 ? "/" : text.slice(slash).replace(/(?<=.)\/$/, "");
  return { servers: hosts.split(",").map(parseServer), chroot };
}

function parseServer(text: string): HostAndPort {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? portDefault : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw badArguments(`Cannot connect: "${text}" is no server, such as 127.0.0.1:2181`);
  }
  return { host, port: number };
}
