/**
 * HTTP at its plainest: one request after the other on each of some kept-alive connections, encoded
 * beforehand, answers read as far as their status and length.
 *
 * @module
 */

import { createConnection, type Socket } from "node:net";
import { pause } from "./drive.ts";
import { Histogram, type Percentiles } from "./histogram.ts";

export interface HttpLoad {
  /** `http://host:port`. */
  readonly url: string;
  readonly connections: number;
  readonly method: "GET" | "PUT";
  readonly path: string;
  readonly body?: Uint8Array | undefined;
  readonly status: number;
  readonly warmMs: number;
  readonly windowMs: number;
}

export interface HttpDriven {
  readonly perSecond: number;
  readonly latency: Percentiles;
}

/** @throws On another status than expected, a lost connection, or an answer without a length. */
export async function driveHttp(load: HttpLoad): Promise<HttpDriven> {
  const { hostname, port } = new URL(load.url);
  const request = encodeRequest(load, `${hostname}:${port}`);
  const histogram = new Histogram();
  let isRecording = false;
  const onAnswer = (ms: number): void => {
    if (isRecording) histogram.record(ms);
  };
  const clients = Array.from(
    { length: load.connections },
    () => new HttpClient(createConnection(Number(port), hostname), request, load.status, onAnswer),
  );
  const lost = Promise.race(clients.map((client) => client.lost));
  try {
    await Promise.race([pause(load.warmMs), lost]);
    isRecording = true;
    const beganMs = performance.now();
    await Promise.race([pause(load.windowMs), lost]);
    isRecording = false;
    const elapsedMs = performance.now() - beganMs;
    return { perSecond: (histogram.count * 1000) / elapsedMs, latency: histogram.percentiles() };
  } finally {
    for (const client of clients) client.close();
  }
}

function encodeRequest({ method, path, body }: HttpLoad, host: string): Buffer {
  const length = body === undefined ? "" : `Content-Length: ${body.length}\r\n`;
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n`;
  return Buffer.concat([Buffer.from(head), body ?? new Uint8Array(0)]);
}

class HttpClient {
  readonly #socket: Socket;
  readonly lost: Promise<never>;
  #isClosed = false;

  constructor(socket: Socket, request: Buffer, status: number, onAnswer: (ms: number) => void) {
    this.#socket = socket;
    socket.setNoDelay(true);
    let sentMs = 0;
    const send = (): void => {
      sentMs = performance.now();
      socket.write(request);
    };
    socket.on("connect", send);
    this.lost = new Promise((_, reject) => {
      const counter = new AnswerCounter((got) => {
        if (got !== status) throw new Error(`HTTP answered ${got} instead of ${status}`);
        onAnswer(performance.now() - sentMs);
        send();
      });
      socket.on("data", (chunk: Buffer) => {
        try {
          counter.push(chunk);
        } catch (error) {
          reject(error);
          socket.destroy();
        }
      });
      socket.on("error", reject);
      socket.on("close", () => {
        if (!this.#isClosed) reject(new Error("the HTTP server closed the connection"));
      });
    });
    this.lost.catch(() => undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}

/** A head this long is none. */
const headBytesMax = 16 * 1024;

/** Cuts a stream of answers at their `Content-Length`. */
export class AnswerCounter {
  readonly #onAnswer: (status: number) => void;
  #head = "";
  #status = 0;
  /** -1: a head is being read. */
  #bodyLeft = -1;

  constructor(onAnswer: (status: number) => void) {
    this.#onAnswer = onAnswer;
  }

  /** @throws On an answer without status or length. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#bodyLeft === -1) rest = this.#readHead(rest);
      const taken = Math.min(Math.max(this.#bodyLeft, 0), rest.length);
      rest = rest.subarray(taken);
      if (this.#bodyLeft > 0) this.#bodyLeft -= taken;
      if (this.#bodyLeft === 0) {
        this.#bodyLeft = -1;
        this.#onAnswer(this.#status);
      }
    }
  }

  /** Answers what follows the head, or nothing when it is cut. */
  #readHead(chunk: Buffer): Buffer {
    const before = this.#head.length;
    this.#head += chunk.toString("latin1");
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) {
      if (this.#head.length > headBytesMax) throw new Error("the HTTP answer has no end of its head");
      return chunk.subarray(chunk.length);
    }
    const head = this.#head.slice(0, end);
    this.#head = "";
    this.#status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
    const length = /^content-length: *(\d+)$/im.exec(head)?.[1];
    if (Number.isNaN(this.#status) || length === undefined) {
      throw new Error(`an HTTP answer without status or length: ${head.slice(0, 200)}`);
    }
    this.#bodyLeft = Number(length);
    return chunk.subarray(end + 4 - before);
  }
}
