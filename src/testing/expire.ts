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
  decodeReplyHeader,
  encodeConnectRequest,
  encodeRequest,
  FrameDecoder,
  JuteWriter,
} from "../jute/index.ts";

/** A ZooKeeper port, and the token that its clients must show, if any. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
}

/** How long a server may take over it, ms. */
const patienceMs = 30_000;

/** A new connection of the client's own may be quicker; then its session is taken over again. */
const triesMax = 10;

/**
 * Ends a client's session; its client hears of it when it connects again.
 *
 * @throws {@link ZkError} `SessionExpired` when it has none; `OperationTimeout` when no server ends it.
 */
export async function expireSession(client: Client, server: Server): Promise<void> {
  for (let tries = 0; tries < triesMax; tries++) {
    const { sessionId, sessionPassword } = client;
    if (sessionId === undefined || sessionPassword === undefined) {
      const message = "Cannot expire the session: the client has none";
      throw new ZkError({ code: ZkErrorCode.SessionExpired, message });
    }
    const id = makeSessionId(BigInt(sessionId));
    if (await takeOverAndLeave({ id, password: sessionPassword }, server)) return;
  }
  const message = `Cannot expire the session: it was not ended in ${triesMax} tries`;
  throw new ZkError({ code: ZkErrorCode.OperationTimeout, message });
}

const goodbyeXid = 1;
const authXid = -4;

/** Whether the session is over for certain: a goodbye was answered, or there is no such session. */
async function takeOverAndLeave(
  session: { readonly id: bigint; readonly password: Uint8Array },
  { host, port, token }: Server,
): Promise<boolean> {
  const writer = new JuteWriter();
  encodeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: patienceMs,
    sessionId: session.id,
    password: session.password,
    readOnly: false,
  });
  if (token !== undefined) {
    const auth = new TextEncoder().encode(token);
    encodeRequest(writer, authXid, { type: OpCode.Auth, scheme: "bearer", auth });
  }
  encodeRequest(writer, goodbyeXid, { type: OpCode.CloseSession });
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
  const [handshake, ...replies] = seen;
  const response = handshake === undefined ? undefined : decodeConnectResponse(handshake);
  if (response?.timeoutMs === 0) return true;
  return replies.some((reply) => {
    const header = decodeReplyHeader(reply);
    return header?.xid === goodbyeXid && header.err === 0;
  });
}
