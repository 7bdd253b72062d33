/**
 * What the mutants' runner needs of a bundle of the world of members.
 *
 * @module
 */

export { simulateMembers } from "./index.ts";
