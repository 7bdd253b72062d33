/**
 * `connect`: from an address and options to a client.
 *
 * @module
 */

import { type Duration, durationForms, parseDuration } from "../base/index.ts";
import { Chroot } from "./chroot.ts";
import { Client } from "./client.ts";
import { badArguments } from "./errors.ts";
import type { Credential } from "./session.ts";
import { type Clock, systemClock, type Transport } from "./transport.ts";
import {
  bindingTransport,
  type ServiceBinding,
  type WebSocketClass,
  webSocketTransport,
} from "./web-socket.ts";

export interface ConnectOptions {
  /** The deployment's `EK_TOKEN`. */
  readonly token?: string | undefined;
  /**
   * After how long without a word the server ends the session, and with it ephemeral znodes and locks.
   * The server has bounds, 4 s to 40 s by default. Default: 15 s.
   */
  readonly sessionTimeout?: Duration | undefined;
  /** How long one operation may take, waiting for a connection included. Default: 30 s. */
  readonly operationTimeout?: Duration | undefined;
  /** Stands before every path. */
  readonly chroot?: string | undefined;
  /** Identities to show the server; for `digest`, `auth` is `user:password`. */
  readonly auth?: readonly { readonly scheme: string; readonly auth: string | Uint8Array }[] | undefined;
  /** Where the platform has none, or another is wanted. Default: the global `WebSocket`. */
  readonly webSocket?: WebSocketClass | undefined;
  /** For tests. */
  readonly clock?: Clock | undefined;
}

/** From another Worker: its service binding to the ensemble's Worker, and the ensemble's name. */
export interface BindingTarget {
  readonly binding: ServiceBinding;
  /** Default: `main`. */
  readonly ensemble?: string | undefined;
}

/**
 * Connects to an ensemble. Returns at once: what is asked meanwhile waits for the connection.
 *
 * @param target - `https://host/v1/main` (or `http:`, `wss:`, `ws:`), or a service binding. On Node
 *   also `zookeeper://host:2181,other:2181/chroot`.
 * @throws {@link ZkError} `BadArguments` for a target or an option that makes no sense.
 * @example
 * await using zk = connect("http://127.0.0.1:8787/v1/main");
 * await zk.create("/test", "data");
 * console.log((await zk.get("/test")).text);
 */
export function connect(target: string | URL | BindingTarget, options: ConnectOptions = {}): Client {
  return connectThrough(transportTo(target, options), options);
}

/**
 * As {@link connect}, through a transport of one's own: another way to a server than an address can name.
 *
 * @throws {@link ZkError} `BadArguments` for an option that makes no sense.
 */
export function connectThrough(transport: Transport, options: ConnectOptions): Client {
  return new Client({
    transport,
    clock: options.clock ?? systemClock,
    chroot: new Chroot(options.chroot ?? "/"),
    sessionTimeoutMs: msOf(options.sessionTimeout ?? "15s", "sessionTimeout"),
    operationMsMax: msOf(options.operationTimeout ?? "30s", "operationTimeout"),
    credentials: (options.auth ?? []).map(credentialOf),
  });
}

/** @param toUrl - The way to a URL, unless the options have a WebSocket. Default: the global one. */
export function transportTo(
  target: string | URL | BindingTarget,
  options: ConnectOptions,
  toUrl: (url: URL, token: string | undefined) => Transport = throughGlobal,
): Transport {
  if (typeof target === "object" && "binding" in target) {
    return bindingTransport(target.binding, target.ensemble ?? "main", options.token);
  }
  const url = typeof target === "string" ? parseUrl(target) : target;
  if (!/^(?:https?|wss?):$/.test(url.protocol)) {
    throw badArguments(
      `Cannot connect to "${url.protocol}": use https:, http:, wss: or ws:, and zookeeper: on Node`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    throw badArguments("Cannot connect: a credential or a query in the URL, pass `token` instead");
  }
  const { webSocket, token } = options;
  return webSocket === undefined ? toUrl(url, token) : webSocketTransport(url, token, webSocket);
}

function throughGlobal(url: URL, token: string | undefined): Transport {
  if (globalThis.WebSocket === undefined) {
    throw badArguments("Cannot connect: this platform has no WebSocket, pass `webSocket`");
  }
  return webSocketTransport(url, token, globalThis.WebSocket);
}

function parseUrl(target: string): URL {
  try {
    return new URL(target);
  } catch {
    // It may hold a secret: not repeated.
    throw badArguments("Cannot connect: the target is no URL, such as https://host/v1/main");
  }
}

function msOf(duration: Duration, name: string): number {
  const ms = parseDuration(duration);
  if (ms === undefined || ms < 1)
    throw badArguments(`Cannot use ${name} "${duration}": write ${durationForms}`);
  return ms;
}

function credentialOf({ scheme, auth }: { scheme: string; auth: string | Uint8Array }): Credential {
  return { scheme, auth: typeof auth === "string" ? new TextEncoder().encode(auth) : auth };
}
