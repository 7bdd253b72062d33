/**
 * What of a member needs no Durable Object: how it leads, receives clients and answers a connection. For those
 * who host a member elsewhere.
 *
 * @module
 */

export { Connection } from "../connection.ts";
export { Leading } from "../leading.ts";
export { Reception } from "../reception.ts";
export { ServerStats } from "../stats.ts";
export { peerTickMs } from "../timing.ts";
