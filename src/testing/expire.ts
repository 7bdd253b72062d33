/**
 * Ending somebody else's session, as every ZooKeeper allows whoever knows its id and password: take it over with
 * a connection of one's own, and say goodbye. kazoo's and Curator's test helpers do the same.
 *
 * @module
 */

import { once } from "node:events";
import { connect } from "node:net";
import { makeSessionId, OpCode } from "../base/index.ts";
import { type Client, ZkError, ZkErrorCode } from "../client/index.ts";
import {
  decodeConnectResponse,
  encodeConnectRequest,
  encodeRequest,
  FrameDecoder,
  JuteWriter,
} from "../jute/index.ts";

/** How long a server may take over it, ms. */
const patienceMs = 30_000;

/** A new connection of the client's own may be quicker; then its session is taken over again. */
const triesMax = 10;

/**
 * Ends a client's session; its client hears of it when it connects again.
 *
 * @throws {@link ZkError} `SessionExpired` when it has none; `OperationTimeout` when no server ends it.
 */
export async function expireSession(client: Client, host: string, port: number): Promise<void> {
  for (let tries = 0; tries < triesMax; tries++) {
    const { sessionId, sessionPassword } = client;
    if (sessionId === undefined || sessionPassword === undefined) {
      const message = "Cannot expire the session: the client has none";
      throw new ZkError({ code: ZkErrorCode.SessionExpired, message });
    }
    const id = makeSessionId(BigInt(sessionId));
    const answered = await takeOverAndLeave({ id, password: sessionPassword }, host, port);
    // The handshake, and the goodbye's: whoever gets both has ended it.
    if (answered === "ended" || answered === "unknownSession") return;
  }
  const message = `Cannot expire the session: it was not ended in ${triesMax} tries`;
  throw new ZkError({ code: ZkErrorCode.OperationTimeout, message });
}

type Answered = "ended" | "unknownSession" | "cutOff";

async function takeOverAndLeave(
  session: { readonly id: bigint; readonly password: Uint8Array },
  host: string,
  port: number,
): Promise<Answered> {
  const writer = new JuteWriter();
  encodeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: patienceMs,
    sessionId: session.id,
    password: session.password,
    readOnly: false,
  });
  encodeRequest(writer, 1, { type: OpCode.CloseSession });
  const socket = connect({ host, port, noDelay: true, timeout: patienceMs });
  socket.on("timeout", () => socket.destroy());
  // What an error means is seen in the frames that came before it.
  socket.on("error", () => undefined);
  const frames = new FrameDecoder();
  const seen: Uint8Array[] = [];
  socket.on("data", (chunk) => {
    frames.push(new Uint8Array(chunk));
    for (let next = frames.next(); next.kind === "frame"; next = frames.next()) seen.push(next.bytes);
  });
  const closed = once(socket, "close");
  socket.write(writer.take());
  await closed;
  const [handshake, goodbye] = seen;
  const response = handshake === undefined ? undefined : decodeConnectResponse(handshake);
  if (response?.timeoutMs === 0) return "unknownSession";
  return goodbye === undefined ? "cutOff" : "ended";
}
