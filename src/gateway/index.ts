/**
 * ZooKeeper's TCP port in front of a Worker: unmodified clients in, one WebSocket each out.
 *
 * @module
 */

export { type Gateway, type GatewayOptions, startGateway } from "./gateway.ts";
