/**
 * The Durable Object of one ensemble member, and what it offers to the Worker.
 *
 * @module
 */

export type * from "./api.ts";
export { Member, type MemberEnv } from "./member.ts";
