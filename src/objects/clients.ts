/**
 * The sockets that clients have at a member: connections of ZooKeeper's protocol, those that they share, and watch streams.
 *
 * @module
 */

import { type Connections, connectionsMax } from "./connections.ts";
import type { Lanes } from "./lanes.ts";
import type { Streams } from "./streams.ts";

export class Clients {
  readonly connections: Connections;
  readonly streams: Streams;
  readonly #lanes: Lanes;

  constructor(connections: Connections, streams: Streams, lanes: Lanes) {
    this.connections = connections;
    this.streams = streams;
    this.#lanes = lanes;
  }

  /** Whether another socket may be accepted. */
  get hasRoom(): boolean {
    return this.connections.hasRoom && this.size < connectionsMax;
  }

  /** Sockets. */
  get size(): number {
    return this.connections.size + this.streams.size + this.#lanes.size;
  }

  /** Somebody waits for something. */
  get isBusy(): boolean {
    return this.connections.isBusy || this.streams.isBusy;
  }

  /** Sockets that outlived the member's memory; before anything is applied. */
  adopt(sockets: readonly WebSocket[]): void {
    this.connections.adopt(this.#lanes.adopt(this.streams.adopt(sockets)));
  }

  /** This member serves. */
  wake(): void {
    this.connections.wake();
    this.streams.wake();
  }

  receive(socket: WebSocket, message: ArrayBuffer | string): void {
    if (this.connections.has(socket)) return this.connections.receive(socket, message);
    if (this.#lanes.receive(socket, message, this.connections)) return;
    if (!this.streams.receive(socket, message)) this.connections.receive(socket, message);
  }

  /** A gateway's shared socket, already accepted. */
  share(socket: WebSocket, gateway: string): void {
    this.#lanes.open(socket, gateway, this.connections);
  }

  /** The client's end of a socket has closed. */
  closed(socket: WebSocket, code: number): void {
    if (this.#lanes.closed(socket, code, this.connections)) return;
    if (!this.streams.closed(socket, code)) this.connections.closed(socket, code);
  }

  /** Those that outlived the memory have waited long enough. */
  closeSleepers(reason: string): void {
    this.connections.closeSleepers(reason);
    this.streams.closeSleepers(reason);
    this.#lanes.closeAll(reason, this.connections);
  }

  /** This member no longer serves. */
  closeAll(reason: string): void {
    this.connections.closeAll(reason);
    this.streams.closeAll(reason);
    this.#lanes.closeAll(reason, this.connections);
  }

  /** End of a turn: what has gathered leaves. */
  flush(): void {
    this.connections.flush();
    this.#lanes.flush(this.connections);
    this.streams.flush();
  }
}
