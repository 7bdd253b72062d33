/**
 * The handshake: the one frame each side sends before any header.
 *
 * Very old and some new clients leave out the `readOnly` byte; `undefined` says so, and the response
 * must then leave it out as well.
 *
 * Sources: ZooKeeper `ConnectRequest`, `ConnectResponse`, `ProtocolManager`.
 *
 * @module
 */

import { assert, type ConnectRequest, type ConnectResponse } from "../base/index.ts";
import { JuteError, type JuteReader, type JuteWriter, tryRead } from "./primitives.ts";

/** The C client reads the response as a fixed struct, so the password's length is part of the format. */
export const passwordBytes = 16;

/** Appends the request as a frame. */
export function encodeConnectRequest(writer: JuteWriter, request: ConnectRequest): void {
  const at = writer.beginLength();
  writer.writeInt(request.protocolVersion);
  writer.writeLong(request.lastZxidSeen);
  writer.writeInt(request.timeoutMs);
  writer.writeLong(request.sessionId);
  writer.writeBuffer(request.password);
  if (request.readOnly !== undefined) writer.writeBoolean(request.readOnly);
  writer.endLength(at);
}

/** `undefined` for bytes that are none: drop the connection. `password` is a view of the frame. */
export function decodeConnectRequest(frame: Uint8Array): ConnectRequest | undefined {
  return tryRead(frame, (reader) => ({
    protocolVersion: reader.readInt(),
    lastZxidSeen: reader.readLong(),
    timeoutMs: reader.readInt(),
    sessionId: reader.readLong(),
    password: reader.readBuffer(),
    readOnly: readReadOnly(reader),
  }));
}

/** Appends the response as a frame. */
export function encodeConnectResponse(writer: JuteWriter, response: ConnectResponse): void {
  assert(response.password.length === passwordBytes, "a session password has 16 bytes");
  const at = writer.beginLength();
  writer.writeInt(0); // The only protocol version there is.
  writer.writeInt(response.timeoutMs);
  writer.writeLong(response.sessionId);
  writer.writeBuffer(response.password);
  if (response.readOnly !== undefined) writer.writeBoolean(response.readOnly);
  writer.endLength(at);
}

/** `undefined` for bytes that are none. `password` is a view of the frame. */
export function decodeConnectResponse(frame: Uint8Array): ConnectResponse | undefined {
  return tryRead(frame, (reader) => {
    reader.readInt();
    return {
      timeoutMs: reader.readInt(),
      sessionId: reader.readLong(),
      password: readPassword(reader),
      readOnly: readReadOnly(reader),
    };
  });
}

function readPassword(reader: JuteReader): Uint8Array {
  const password = reader.readBuffer();
  if (password?.length !== passwordBytes) throw new JuteError("password of another length");
  return password;
}

function readReadOnly(reader: JuteReader): boolean | undefined {
  return reader.remaining === 0 ? undefined : reader.readBoolean();
}
