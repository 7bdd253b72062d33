/**
 * ZooKeeper's TCP port in front of a Worker: unmodified clients in, one WebSocket each out.
 *
 * @module
 */

export { type Gateway, type GatewayOptions, type SecurePort, startGateway } from "./gateway.ts";
export { inUrl, obey, type Parsed, readPort, stopSignals } from "./program.ts";
export { discreetWords } from "./words.ts";
