/**
 * The Durable Object of one ensemble member, and what it offers to the Worker.
 *
 * @module
 */

export type * from "./api.ts";
export { Member, type MemberEnv } from "./member.ts";
export type * from "./report.ts";
export type { LatencyFigures, SizeFigures } from "./stats.ts";
