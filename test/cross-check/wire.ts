/**
 * One TCP connection to a ZooKeeper port: bytes out, whole frames in, and how it ended.
 *
 * @module
 */

import { createConnection, type Socket } from "node:net";
import { FrameDecoder } from "../../src/jute/index.ts";

export type Incoming =
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  /** The server ended the connection, politely or not. */
  | { readonly kind: "closed" }
  /** Nothing came in time. */
  | { readonly kind: "silence" };

const CLOSED: Incoming = { kind: "closed" };
const SILENCE: Incoming = { kind: "silence" };

export class Wire {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #frames: Uint8Array[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = createConnection({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#socket.on("error", () => this.#close());
    this.#socket.on("close", () => this.#close());
    this.#socket.on("end", () => this.#close());
  }

  send(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#socket.write(bytes);
  }

  /** Ends our side, without a word of the protocol. */
  cut(): void {
    this.#socket.destroy();
  }

  /** The next frame. What came before the end is given first. */
  async next(timeoutMs: number): Promise<Incoming> {
    const taken = this.#take();
    if (taken !== undefined) return taken;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(SILENCE), timeoutMs);
      this.#wake = () => {
        const incoming = this.#take();
        if (incoming === undefined) return; // Part of a frame.
        this.#wake = () => undefined;
        clearTimeout(timer);
        resolve(incoming);
      };
    });
  }

  #take(): Incoming | undefined {
    const bytes = this.#frames.shift();
    if (bytes !== undefined) return { kind: "frame", bytes };
    return this.#isClosed ? CLOSED : undefined;
  }

  #receive(chunk: Uint8Array): void {
    this.#decoder.push(chunk);
    for (;;) {
      const next = this.#decoder.next();
      if (next.kind === "incomplete") break;
      if (next.kind === "fault") throw new Error(`a server sent no frames: ${next.reason}`);
      this.#frames.push(next.bytes);
    }
    this.#wake();
  }

  #close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
    this.#wake();
  }
}
