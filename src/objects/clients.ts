/**
 * Both kinds of sockets that clients have at a member: connections of ZooKeeper's protocol, and watch streams.
 *
 * @module
 */

import { type Connections, connectionsMax } from "./connections.ts";
import type { Streams } from "./streams.ts";

export class Clients {
  readonly connections: Connections;
  readonly streams: Streams;

  constructor(connections: Connections, streams: Streams) {
    this.connections = connections;
    this.streams = streams;
  }

  /** Whether another socket may be accepted. */
  get hasRoom(): boolean {
    return this.connections.hasRoom && this.connections.size + this.streams.size < connectionsMax;
  }

  /** Somebody waits for something. */
  get isBusy(): boolean {
    return this.connections.isBusy || this.streams.isBusy;
  }

  /** Sockets that outlived the member's memory; before anything is applied. */
  adopt(sockets: readonly WebSocket[]): void {
    this.connections.adopt(this.streams.adopt(sockets));
  }

  /** This member serves. */
  wake(): void {
    this.connections.wake();
    this.streams.wake();
  }

  receive(socket: WebSocket, message: ArrayBuffer | string): void {
    if (!this.streams.receive(socket, message)) this.connections.receive(socket, message);
  }

  /** The client's end of a socket has closed. */
  closed(socket: WebSocket, code: number): void {
    if (!this.streams.closed(socket, code)) this.connections.closed(socket, code);
  }

  /** Those that outlived the memory have waited long enough. */
  closeSleepers(reason: string): void {
    this.connections.closeSleepers(reason);
    this.streams.closeSleepers(reason);
  }

  /** This member no longer serves. */
  closeAll(reason: string): void {
    this.connections.closeAll(reason);
    this.streams.closeAll(reason);
  }

  /** End of a turn: what has gathered leaves. */
  flush(): void {
    this.connections.flush();
    this.streams.flush();
  }
}
