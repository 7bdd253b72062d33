/**
 * The ZooKeeper port: a TCP listener in front of a Worker's WebSocket door.
 *
 * Holds no state of any session, so any number of gateways may stand side by side, and a client may come
 * back through another one.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import type { WebSocketTarget } from "../websocket/index.ts";
import { Connection, reset } from "./connection.ts";
import { distinguishedName } from "./distinguished-name.ts";
import { Sharing } from "./shared-socket.ts";
import { WordDesk, type WordDeskOptions } from "./words.ts";

/** How long clients and members may take to say goodbye when the gateway stops. */
const stopGraceMs = 1_000;

/** How long a TLS client may take to shake hands. */
const handshakeTimeoutMs = 10_000;

/** ZooKeeper's secure client port. Everything as PEM. */
export interface SecurePort {
  /** 0 picks a free one. */
  readonly listenPort: number;
  readonly certificate: string;
  readonly key: string;
  /** Whose signature client certificates must carry; `undefined`: clients need none. */
  readonly clientCa?: string | undefined;
}

export interface GatewayOptions {
  readonly listenHost: string;
  /** Without TLS. 0 picks a free one; `undefined`: none. */
  readonly listenPort: number | undefined;
  readonly secure?: SecurePort | undefined;
  /** Whether clients without a certificate must show the token, by `addauth bearer`. Default: false. */
  readonly clientsShowToken?: boolean | undefined;
  /** The Worker: `http(s)://host[:port]`. */
  readonly url: string;
  readonly ensemble: string;
  /** To which member clients are connected: `leader`, `nearest`, or a server id. Default: `leader`. */
  readonly member?: string | undefined;
  /** What the Worker wants as bearer. Never logged. */
  readonly token?: string | undefined;
  /** Connections one address may have at once; 0: any number. Java's `maxClientCnxns`. */
  readonly maxConnectionsPerAddress: number;
  /** Four-letter words that are answered. */
  readonly fourLetterWords: "*" | readonly string[];
  /** Told when upgrades begin to fail, begin to fail otherwise, or succeed again. */
  readonly log?: ((line: string) => void) | undefined;
}

export interface Gateway {
  /** -1: none. */
  readonly port: number;
  /** -1: none. */
  readonly securePort: number;
  /** Connections held now. */
  readonly connectionCount: number;
  /** Stops listening and takes leave of every client; sessions live on. */
  close(): Promise<void>;
}

/**
 * Starts a gateway and resolves when it listens.
 *
 * The Worker need not be there yet: a connection whose upgrade fails is reset, and clients retry.
 *
 * @throws The listener's error (`EADDRINUSE`, ...) when it cannot listen.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { listenHost, listenPort, secure } = options;
  const clientele = new Clientele(options, () => ports());
  const admit = (socket: Socket) => clientele.admit(socket);
  // Half-open: a client that has finished sending may still want its answers.
  const plain = listenPort === undefined ? undefined : createServer({ allowHalfOpen: true }, admit);
  const tls = secure === undefined ? undefined : createSecureServer(secure, admit);
  const ports = () => ({ plain: portOf(plain), secure: portOf(tls) });
  const servers = [plain, tls].filter((server) => server !== undefined);
  try {
    if (plain !== undefined) await listen(plain, listenPort ?? 0, listenHost);
    if (tls !== undefined) await listen(tls, secure?.listenPort ?? 0, listenHost);
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  const bound = ports();
  let stopping: Promise<void> | undefined;
  return {
    port: bound.plain,
    securePort: bound.secure,
    get connectionCount() {
      return clientele.count;
    },
    close() {
      stopping ??= stop(servers, clientele);
      return stopping;
    },
  };
}

/** A client whose certificate is asked for and not good never gets past the handshake. */
function createSecureServer(secure: SecurePort, admit: (socket: Socket) => void): Server {
  const { certificate, key, clientCa } = secure;
  const server = createTlsServer({
    allowHalfOpen: true,
    cert: certificate,
    key,
    minVersion: "TLSv1.2",
    handshakeTimeout: handshakeTimeoutMs,
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  });
  server.on("secureConnection", admit);
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}

/** -1: it does not listen. */
function portOf(server: Server | undefined): number {
  const address = server?.address() ?? null;
  return address === null || typeof address === "string" ? -1 : address.port;
}

async function stop(servers: readonly Server[], clientele: Clientele): Promise<void> {
  const closed = servers.filter(({ listening }) => listening).map((server) => once(server, "close"));
  for (const server of servers) server.close();
  clientele.dismiss();
  const timer = setTimeout(() => clientele.evict(), stopGraceMs);
  await Promise.all(closed);
  clearTimeout(timer);
  clientele.release();
}

/** The name a client has proved with a certificate; `undefined` without one, or one that has no name. */
function certifiedName(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  return subject === undefined ? undefined : distinguishedName({ ...subject });
}

/** IPv4 as such, also when it arrived on a socket of both families: ACLs name it that way. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[0-9.]+$)/, "");
}

/** Everybody connected, and how many from where. */
class Clientele {
  readonly #options: GatewayOptions;
  readonly #url: URL;
  readonly #words: WordDesk;
  readonly #sharing = new Sharing();
  readonly #connections = new Set<Connection>();
  // Invariant: the values add up to `#connections.size`, and none is 0.
  readonly #countByAddress = new Map<string, number>();
  /** Why upgrades fail at present. */
  #trouble: string | undefined;

  constructor(options: GatewayOptions, ports: WordDeskOptions["ports"]) {
    this.#options = options;
    const { ensemble, member, token, fourLetterWords: allowed } = options;
    this.#url = new URL(`/v1/${encodeURIComponent(ensemble)}/connect`, options.url);
    if (member !== undefined) this.#url.searchParams.set("member", member);
    const url = new URL(`/v1/${encodeURIComponent(ensemble)}`, options.url);
    // Words are about the member that clients get, when that is always the same.
    const about = member !== undefined && /^[0-9]+$/.test(member) ? member : undefined;
    this.#words = new WordDesk({ url, member: about, token, allowed, ports });
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Takes a client on, or drops it at once when its address has as many as it may. */
  admit(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? "");
    const count = this.#countByAddress.get(address) ?? 0;
    const countMax = this.#options.maxConnectionsPerAddress;
    if (countMax !== 0 && count >= countMax) {
      reset(socket);
      return;
    }
    this.#countByAddress.set(address, count + 1);
    const target = this.#target(address, socket);
    const connection: Connection = new Connection(socket, {
      openMember: (events) => this.#sharing.open(target, events),
      onRefused: (reason) => this.#report(`no connection to the ensemble: ${reason}`),
      onEstablished: () => this.#report(undefined),
      onGone: () => {
        this.#connections.delete(connection);
        this.#discount(address);
      },
      answerWord: (head) => this.#words.answer(head),
    });
    this.#connections.add(connection);
  }

  /** Closes every connection politely. */
  dismiss(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** Closes every connection that is left. */
  evict(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  /** Once nobody is left. */
  release(): void {
    this.#sharing.close();
  }

  #target(address: string, socket: Socket): WebSocketTarget {
    const { token, clientsShowToken } = this.#options;
    const name = certifiedName(socket);
    const bearer = token === undefined ? [] : [`bearer.${Buffer.from(token).toString("base64url")}`];
    return {
      url: this.#url,
      protocols: ["zookeeper", ...bearer],
      // Who the client is, to a Worker that has reason to believe this gateway.
      headers: {
        "Ek-Gateway-Address": address,
        "Ek-Gateway-Port": String(socket.remotePort ?? 0),
        "Ek-Gateway-Wants-Credit": "yes",
        ...(name !== undefined && { "Ek-Gateway-X509": encodeURIComponent(name) }),
        ...(clientsShowToken === true && name === undefined && { "Ek-Gateway-Wants-Token": "yes" }),
      },
    };
  }

  #discount(address: string): void {
    const count = (this.#countByAddress.get(address) ?? 0) - 1;
    if (count > 0) this.#countByAddress.set(address, count);
    else this.#countByAddress.delete(address);
  }

  /** Clients retry every second or so; only a change is news. */
  #report(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.log?.(trouble ?? "connections to the ensemble succeed again");
  }
}
