/**
 * The client's second door, for Node: ZooKeeper's own port, so any ZooKeeper, over TCP.
 *
 * @module
 */

import type { Client } from "../client.ts";
import type { BindingTarget } from "../connect.ts";
import { type ConnectOptions, connectThrough, connect as connectWeb } from "../connect.ts";
import { badArguments } from "../errors.ts";
import { type HostAndPort, tcpTransport } from "./tcp.ts";

const scheme = "zookeeper://";
const portDefault = 2181;

/**
 * As `connect` of `edgekeeper/client`, and takes ZooKeeper connection strings as well.
 *
 * @param target - `zookeeper://host:2181,other:2181/chroot`, or whatever `connect` takes.
 * @throws {@link ZkError} `BadArguments` for a target or an option that makes no sense.
 * @example
 * await using zk = connect("zookeeper://127.0.0.1:2181");
 * await zk.create("/test", "data");
 */
export function connect(target: string | URL | BindingTarget, options: ConnectOptions = {}): Client {
  if (typeof target !== "string" || !target.startsWith(scheme)) return connectWeb(target, options);
  const { servers, chroot } = parseConnectString(target.slice(scheme.length));
  if (chroot !== "/" && options.chroot !== undefined) {
    throw badArguments("Cannot connect: two chroots, one in the target and one in the options");
  }
  return connectThrough(tcpTransport(servers), { ...options, chroot: options.chroot ?? chroot });
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
