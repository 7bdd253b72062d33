/**
 * One load connection: a session over raw TCP that keeps a number of a ring's requests outstanding.
 *
 * Far lighter than any server: no promise, timer or object per request, reads into one shared buffer, replies
 * checked for xid and error and otherwise unread. Any surprise fails the run that the connection serves.
 *
 * Invariant: replies come in the order of requests, so the xid that is due is known.
 *
 * @module
 */

import { createConnection, type Socket } from "node:net";
import { type ClientRequest, OpCode } from "../../src/base/index.ts";
import { encodeConnectRequest, JuteWriter } from "../../src/jute/index.ts";
import { FrameCounter } from "./frames.ts";
import { encodeRing, type Ring } from "./ring.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Work {
  readonly ring: Ring;
  /** Kept outstanding; at most the ring's size. */
  readonly width: number;
  /** Sends this many and no more. Default: until {@link LoadConnection.stop}. */
  readonly total?: number | undefined;
  /** Errors that are no surprise, such as `NodeExists` when preparing. */
  readonly allowed?: readonly number[] | undefined;
  /** Told of every reply: how long it took. */
  readonly onReply?: ((ms: number) => void) | undefined;
  /** The last reply is in. */
  readonly onDone: () => void;
}

export interface ConnectionOptions {
  /** A server that echoes requests instead of answering them: there is no error to check. */
  readonly isEcho?: boolean | undefined;
  /** Default: a minute. */
  readonly openTimeoutMs?: number | undefined;
  readonly onFailure: (error: Error) => void;
  /** A watch has fired. */
  readonly onEvent?: (() => void) | undefined;
}

const sessionTimeoutMs = 30_000;
const eventXid = -1;
/** Past this a server that answers nothing has failed. */
const openTimeoutMs = 60_000;

/** What every socket reads into: it is read out before the next socket is. */
const readBuffer = Buffer.alloc(256 * 1024);

const hello = encodeHello();
const goodbye = encodeRing([{ type: OpCode.CloseSession }]).bytes;

function encodeHello(): Uint8Array {
  const writer = new JuteWriter();
  encodeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: sessionTimeoutMs,
    sessionId: 0n,
    password: new Uint8Array(16),
    readOnly: false,
  });
  return writer.take();
}

type State = "connecting" | "open" | "closing" | "closed";

const idle: Work = { ring: encodeRing([]), width: 0, onDone: () => undefined };

export class LoadConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #frames = new FrameCounter((xid, second, err) => this.#read(xid, second, err));
  #state: State = "connecting";
  #onOpen: () => void = () => undefined;
  #onClosed: () => void = () => undefined;
  #work: Work = idle;
  /** By place in the ring. */
  #sentMs = new Float64Array(0);
  // Places in the ring. Outstanding: from #due up to #next, going round.
  #next = 0;
  #due = 0;
  #outstanding = 0;
  #left = 0;
  /** Replies in the chunk being read. */
  #freed = 0;
  #nowMs = 0;

  private constructor(address: Address, options: ConnectionOptions) {
    this.#options = options;
    const onread = { buffer: readBuffer, callback: (count: number) => this.#readChunk(count) };
    this.#socket = createConnection({ ...address, noDelay: true, onread });
    this.#socket.on("connect", () => this.#socket.write(hello));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#lose());
  }

  /** Connects and has a session made. */
  static open(address: Address, options: ConnectionOptions): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => connection.#fail(new Error("no session in time")),
        options.openTimeoutMs ?? openTimeoutMs,
      );
      const connection: LoadConnection = new LoadConnection(address, {
        ...options,
        onFailure(error) {
          clearTimeout(timer);
          options.onFailure(error);
          reject(error);
        },
      });
      connection.#onOpen = () => {
        clearTimeout(timer);
        resolve(connection);
      };
    });
  }

  /** Begins to send. One work at a time. */
  start(work: Work): void {
    if (this.#outstanding !== 0) throw new Error("the last work is still under way");
    this.#work = work;
    this.#sentMs = new Float64Array(work.ring.size);
    this.#next = 0;
    this.#due = 0;
    this.#left = work.total ?? Number.POSITIVE_INFINITY;
    this.#send(Math.min(work.width, work.ring.size));
  }

  /** Sends no more; `onDone` follows when all replies are in. */
  stop(): void {
    this.#left = 0;
    if (this.#outstanding === 0) this.#work.onDone();
  }

  /** Sends the whole ring once, `width` at a time, and waits for the replies. */
  async exchange(
    requests: readonly ClientRequest[],
    options: { readonly allowed?: readonly number[]; readonly width?: number } = {},
  ): Promise<void> {
    const ring = encodeRing(requests);
    const width = options.width ?? 256;
    await new Promise<void>((resolve) =>
      this.start({ ring, width, total: ring.size, allowed: options.allowed, onDone: resolve }),
    );
  }

  /** Closes the session and the connection. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    this.#state = "closing";
    // An echo knows no goodbye.
    if (this.#options.isEcho === true) this.#socket.end();
    else this.#socket.write(goodbye);
    const timer = setTimeout(() => this.#socket.destroy(), 5_000);
    await closed;
    clearTimeout(timer);
  }

  /** Drops the connection and leaves the session to itself. */
  destroy(): void {
    this.#state = "closing";
    this.#socket.destroy();
  }

  #readChunk(count: number): boolean {
    this.#nowMs = performance.now();
    this.#freed = 0;
    try {
      this.#frames.push(readBuffer.subarray(0, count));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
    if (this.#freed > 0) this.#refill();
    return true;
  }

  #refill(): void {
    const count = Math.min(this.#freed, this.#left);
    if (count > 0) this.#send(count);
    else if (this.#outstanding === 0 && this.#left === 0) this.#work.onDone();
  }

  #read(xid: number, second: number, err: number): void {
    if (this.#state === "closing") {
      return;
    }
    if (this.#state === "connecting") {
      if (second === 0 && this.#options.isEcho !== true) throw new Error("the server refused the session");
      this.#state = "open";
      this.#onOpen();
      return;
    }
    if (xid === eventXid) {
      this.#options.onEvent?.();
      return;
    }
    if (xid !== this.#due + 1) throw new Error(`reply with xid ${xid} where ${this.#due + 1} was due`);
    const { allowed, onReply, ring } = this.#work;
    if (err !== 0 && this.#options.isEcho !== true && allowed?.includes(err) !== true) {
      throw new Error(`a request failed with ${err}`);
    }
    onReply?.(this.#nowMs - (this.#sentMs[this.#due] ?? 0));
    this.#due = this.#due + 1 === ring.size ? 0 : this.#due + 1;
    this.#outstanding -= 1;
    this.#freed += 1;
  }

  #send(wanted: number): void {
    const { ring } = this.#work;
    let count = Math.min(wanted, this.#left);
    this.#left -= count;
    this.#outstanding += count;
    const nowMs = performance.now();
    while (count > 0) {
      const end = Math.min(this.#next + count, ring.size);
      this.#sentMs.fill(nowMs, this.#next, end);
      this.#socket.write(ring.bytes.subarray(ring.offsets[this.#next], ring.offsets[end]));
      count -= end - this.#next;
      this.#next = end === ring.size ? 0 : end;
    }
  }

  #fail(error: Error): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#state = "closed";
    this.#socket.destroy();
    this.#options.onFailure(error);
  }

  #lose(): void {
    if (this.#state !== "closing") this.#fail(new Error("the server closed the connection"));
    this.#state = "closed";
    this.#onClosed();
  }
}
