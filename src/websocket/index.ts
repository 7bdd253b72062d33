/**
 * A WebSocket client for Node, for a byte stream: the gateway's, and the SDK's.
 *
 * @module
 */

export {
  type OutgoingWebSocket,
  openWebSocket,
  type WebSocketEvents,
  type WebSocketTarget,
} from "./websocket.ts";
