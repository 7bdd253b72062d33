/**
 * Which ZooKeeper we say we are: clients and tools switch features by it.
 *
 * The date is in the format of ZooKeeper 3.6, which both people and the parser of the Go client read.
 *
 * @module
 */

import { version } from "../version.ts";

/** When `version` was last raised. */
const builtOn = "11/23/2026 00:00 GMT";

export const zookeeperVersion = `3.9.5-edgekeeper-${version}, built on ${builtOn}`;
