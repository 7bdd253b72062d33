/**
 * A ZooKeeper client's stream, as bytes: frames to send, and what a server's bytes say in short.
 *
 * @module
 */

import { type ClientRequest, type ConnectRequest, OpCode } from "../../../src/base/index.ts";
import {
  decodeConnectResponse,
  decodeEvent,
  decodeReplyHeader,
  encodeConnectRequest,
  encodeRequest,
  JuteWriter,
} from "../../../src/jute/index.ts";

export function connectFrame(given: Partial<ConnectRequest> = {}): Uint8Array {
  const writer = new JuteWriter();
  encodeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: 10_000,
    sessionId: 0n,
    password: null,
    readOnly: false,
    ...given,
  });
  return writer.take();
}

export function requestFrame(xid: number, request: ClientRequest): Uint8Array {
  const writer = new JuteWriter();
  encodeRequest(writer, xid, request);
  return writer.take();
}

/** A frame with any header and any body. */
export function rawFrame(xid: number, type: number, body: readonly number[] = []): Uint8Array {
  const frame = new Uint8Array(12 + body.length);
  const view = new DataView(frame.buffer);
  view.setInt32(0, 8 + body.length);
  view.setInt32(4, xid);
  view.setInt32(8, type);
  frame.set(body, 12);
  return frame;
}

export function pingFrame(xid = -2): Uint8Array {
  return requestFrame(xid, { type: OpCode.Ping });
}

export function authFrame(xid: number, scheme: string, auth: string | null): Uint8Array {
  return requestFrame(xid, {
    type: OpCode.Auth,
    scheme,
    auth: auth === null ? null : new TextEncoder().encode(auth),
  });
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Reads a server's stream: "xid zxid err" per reply, "event type path zxid" per notification. */
export class Heard {
  #isConnected: boolean;

  constructor(isConnected = false) {
    this.#isConnected = isConnected;
  }

  /** Answers may be longer than any frame a client may send; one that is cut off is an error. */
  read(bytes: Uint8Array | undefined): string[] {
    const said: string[] = [];
    let rest = (bytes ?? new Uint8Array(0)).slice();
    while (rest.length > 0) {
      const length = new DataView(rest.buffer, rest.byteOffset).getInt32(0);
      if (length > rest.length - 4) throw new Error("a frame was cut off");
      said.push(this.#say(rest.subarray(4, 4 + length)));
      rest = rest.subarray(4 + length);
    }
    return said;
  }

  #say(frame: Uint8Array): string {
    if (!this.#isConnected) {
      this.#isConnected = true;
      const response = decodeConnectResponse(frame);
      if (response === undefined) throw new Error("no connect response");
      return `connected ${response.sessionId} ${response.timeoutMs}`;
    }
    const event = decodeEvent(frame);
    if (event !== undefined) return `event ${event.event.type} ${event.event.path} ${event.zxid}`;
    const header = decodeReplyHeader(frame);
    if (header === undefined) throw new Error("a frame without a header");
    return `${header.xid} ${header.zxid} ${header.err}`;
  }
}
