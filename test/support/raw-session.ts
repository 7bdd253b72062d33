/**
 * A ZooKeeper session over plain TCP, as far as the handshake.
 *
 * @module
 */

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import {
  decodeConnectResponse,
  encodeConnectRequest,
  FrameDecoder,
  JuteWriter,
} from "../../src/jute/index.ts";

export interface RawSession {
  readonly socket: Socket;
  readonly sessionId: bigint;
  readonly timeoutMs: number;
  readonly password: Uint8Array;
}

/** @throws When the server closes the connection instead of answering. */
export async function openSession(
  port: number,
  options: { readonly timeoutMs?: number } = {},
): Promise<RawSession> {
  const socket = createConnection(port, "127.0.0.1");
  const writer = new JuteWriter();
  encodeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: options.timeoutMs ?? 1000,
    sessionId: 0n,
    password: new Uint8Array(16),
    readOnly: false,
  });
  socket.write(writer.take());
  const frames = new FrameDecoder();
  for (;;) {
    const [chunk]: unknown[] = await Promise.race([
      once(socket, "data"),
      once(socket, "close").then(() => []),
    ]);
    if (!(chunk instanceof Uint8Array)) throw new Error("the server closed the connection");
    frames.push(chunk);
    const next = frames.next();
    if (next.kind !== "frame") continue;
    const response = decodeConnectResponse(next.bytes);
    if (response === undefined) throw new Error("the server's answer is no connect response");
    return { socket, ...response };
  }
}
