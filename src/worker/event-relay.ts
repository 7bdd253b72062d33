/**
 * A watch stream as server-sent events: the messages of a member's WebSocket, told to one HTTP client.
 *
 * The member may sleep while the response is open: only the Worker holds it, and sends the comments that keep
 * it alive. A client that reads slowly is not read for: nothing is acknowledged to the member that the client
 * has not taken, so at most a window of messages waits here.
 *
 * The id of an event is a zxid behind which the stream may be resumed. A txn with several events has it on the
 * last of them, so that nobody resumes in the middle.
 *
 * Source: HTML Living Standard, "Server-sent events".
 *
 * @module
 */

import { heartbeatMs, reconnectMs } from "./limits.ts";

/** Messages taken by the client after which the member is told so, and characters in them. */
const ackMessages = 32;
const ackUnits = 128 * 1024;

/** What a member says, as far as it is passed on. Unknown types are for others, or of a later version. */
type Told = Readonly<Partial<Record<string, unknown>>>;

/** An event, or the events, of a message; empty for one that is not for the client. */
export function eventsOf(message: Told): string {
  const { type, seq: _, id: __, ...rest } = message;
  const zxid = typeof message["zxid"] === "string" ? message["zxid"] : undefined;
  switch (type) {
    case "events":
      return Array.isArray(message["events"]) ? message["events"].map(changeEvent).join("") : "";
    case "subscribed":
    case "compacted":
    case "progress":
      return serverSentEvent(type, rest, zxid);
    case "coalesced":
      return serverSentEvent(type, rest);
    default:
      return "";
  }
}

function changeEvent(change: Told, at: number, all: readonly Told[]): string {
  const isLast = all[at + 1]?.["zxid"] !== change["zxid"];
  return serverSentEvent(String(change["kind"]), change, isLast ? String(change["zxid"]) : undefined);
}

/** JSON has no line ends, so one line of data is all there is. */
function serverSentEvent(name: string, data: Told, id?: string): string {
  return `event: ${name}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** A member's WebSocket, as much of it as is used. */
export interface MemberSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export class EventRelay {
  readonly body: ReadableStream<Uint8Array>;
  readonly #socket: MemberSocket;
  readonly #encoder = new TextEncoder();
  readonly #timer: ReturnType<typeof setInterval>;
  #waiting = `retry: ${reconnectMs}\n\n`;
  #seqWaiting = 0;
  #seqTaken = 0;
  #unitsTaken = 0;
  #acked = 0;
  /** The client wants more, and there was nothing. */
  #wake: (() => void) | undefined;
  #isOver = false;
  #awaitsPong = false;

  constructor(socket: MemberSocket) {
    this.#socket = socket;
    this.#timer = setInterval(() => this.#beat(), heartbeatMs);
    this.body = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#leave() },
      { highWaterMark: 0 },
    );
  }

  /** A message of the member. */
  take(text: string): void {
    if (text === "pong") {
      this.#awaitsPong = false;
      return;
    }
    const message: unknown = this.#isOver ? undefined : JSON.parse(text);
    if (typeof message !== "object" || message === null) return;
    const told: Told = { ...message };
    if (typeof told["seq"] === "number") this.#seqWaiting = told["seq"];
    this.#offer(eventsOf(told));
  }

  /** The member's end has closed: the client may come back, and resume. */
  end(reason: string): void {
    if (this.#isOver) return;
    this.#offer(serverSentEvent("ended", { reason }));
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#acknowledge();
    if (this.#waiting === "" && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const text = this.#waiting;
    this.#waiting = "";
    this.#seqTaken = this.#seqWaiting;
    this.#unitsTaken += text.length;
    if (text !== "") controller.enqueue(this.#encoder.encode(text));
    if (this.#isOver) controller.close();
  }

  #offer(text: string): void {
    this.#waiting += text;
    // What is not for the client is taken, too: its number must not hold up the rest.
    this.#wake?.();
    this.#wake = undefined;
  }

  /** What was handed on before was taken: the client asks for more. */
  #acknowledge(): void {
    if (this.#isOver || this.#seqTaken === this.#acked) return;
    if (this.#seqTaken - this.#acked < ackMessages && this.#unitsTaken < ackUnits) return;
    this.#acked = this.#seqTaken;
    this.#unitsTaken = 0;
    this.#socket.send(JSON.stringify({ type: "ack", seq: this.#acked }));
  }

  /** Keeps proxies from closing a silent response, and notices a member that is not there any more. */
  #beat(): void {
    if (this.#awaitsPong) {
      this.end("the member does not answer");
      return this.#socket.close(1000, "no pong");
    }
    this.#awaitsPong = true;
    // Answered by the platform in the member's place.
    this.#socket.send("ping");
    if (this.#waiting === "") this.#offer(": heartbeat\n\n");
  }

  /** The client has gone. */
  #leave(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#socket.close(1000, "the client has gone");
  }
}
