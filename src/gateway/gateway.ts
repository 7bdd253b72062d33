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
import { Connection } from "./connection.ts";
import type { WebSocketTarget } from "./websocket.ts";
import { WordDesk, type WordDeskOptions } from "./words.ts";

/** How long clients and members may take to say goodbye when the gateway stops. */
const stopGraceMs = 1_000;

export interface GatewayOptions {
  readonly listenHost: string;
  /** 0 picks a free one. */
  readonly listenPort: number;
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
  readonly port: number;
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
  const clientele = new Clientele(options, () => ({ plain: portOf(server), secure: -1 }));
  // Half-open: a client that has finished sending may still want its answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => clientele.admit(socket));
  server.listen(options.listenPort, options.listenHost);
  await once(server, "listening");
  let stopping: Promise<void> | undefined;
  return {
    port: portOf(server),
    get connectionCount() {
      return clientele.count;
    },
    close() {
      stopping ??= stop(server, clientele);
      return stopping;
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
  return address.port;
}

async function stop(server: Server, clientele: Clientele): Promise<void> {
  const closed = once(server, "close");
  server.close();
  clientele.dismiss();
  const timer = setTimeout(() => clientele.evict(), stopGraceMs);
  await closed;
  clearTimeout(timer);
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
      socket.resetAndDestroy();
      return;
    }
    this.#countByAddress.set(address, count + 1);
    const connection: Connection = new Connection(socket, this.#target(address, socket.remotePort ?? 0), {
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

  #target(address: string, port: number): WebSocketTarget {
    const { token } = this.#options;
    const bearer = token === undefined ? [] : [`bearer.${Buffer.from(token).toString("base64url")}`];
    return {
      url: this.#url,
      protocols: ["zookeeper", ...bearer],
      // Who the client is, to a Worker that has reason to believe this gateway.
      headers: { "Ek-Gateway-Address": address, "Ek-Gateway-Port": String(port) },
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
