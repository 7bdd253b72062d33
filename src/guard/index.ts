/**
 * Guards what locks protect: it remembers the greatest fencing token and refuses lower ones.
 *
 * For the user's own Worker, Durable Object, D1 database or R2 bucket. It talks to no ensemble, imports
 * nothing, and takes the stores by their shape.
 *
 * @module
 */

export { fenced, fenceHeaders, honoFence, refusalOf, tokenHeader, tokenOf } from "./http.ts";
export { type FencedPutOptions, type ObjectBucket, R2Fence } from "./r2.ts";
export { D1Fence, DurableFence, type DurableStorage, fenceSchema, type SqlDatabase } from "./sql.ts";
export { admit, MemoryTokens, type MemoryTokensOptions, type TokenStore } from "./store.ts";
export { type FencingToken, formatToken, parseToken, StaleToken } from "./token.ts";
