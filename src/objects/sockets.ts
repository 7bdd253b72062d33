/**
 * What a client's WebSocket is told, whatever state it is in.
 *
 * Platform: `send` and `close` throw on a socket that is closed, and `close` on codes that may only be
 * received (2026-11).
 *
 * @module
 */

/** Close codes in the range of applications. A client treats each as a lost connection. */
export const CloseCode = {
  Normal: 1000,
  /** The stream broke the protocol, or a bound. */
  Dropped: 4000,
  /** This member does not serve, or not any more: its client may come back, here or elsewhere. */
  NotLeading: 4001,
  /** A watch stream's client did not keep up: it may come back, and resume from where it was. */
  TooSlow: 4002,
} as const;

/** A message's aim; receivers have limits, and one message holds up the others. */
const messageBytes = 1024 * 1024;

/** False when the socket takes no more. */
export function sendBytes(socket: WebSocket, bytes: Uint8Array): boolean {
  try {
    for (let at = 0; at < bytes.length; at += messageBytes) {
      socket.send(bytes.length <= messageBytes ? bytes : bytes.subarray(at, at + messageBytes));
    }
    return true;
  } catch {
    return false;
  }
}

/** Whether it arrives decides nothing here: a socket that takes no more will be found out. */
export function sendText(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // Closed meanwhile.
  }
}

export function closeSocket(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Some codes say how a socket ended and may not be sent; without an answer the client would hang.
    closeNormally(socket, reason);
  }
}

function closeNormally(socket: WebSocket, reason: string): void {
  try {
    socket.close(CloseCode.Normal, reason);
  } catch {
    // Already closed.
  }
}
