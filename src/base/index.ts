/**
 * The shared vocabulary of every room: ids, records, requests, txns, error codes, path rules, assertions.
 *
 * @module
 */

export * from "./assert.ts";
export * from "./durations.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./json.ts";
export * from "./locations.ts";
export * from "./lock-queue.ts";
export * from "./lock-steals.ts";
export * from "./paths.ts";
export * from "./records.ts";
export * from "./request-window.ts";
export * from "./requests.ts";
export * from "./semaphores.ts";
export * from "./settings.ts";
export * from "./txns.ts";
export * from "./zxid.ts";
