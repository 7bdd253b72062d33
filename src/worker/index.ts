/**
 * The Worker: HTTP and WebSocket in front of the members, and the class of the members themselves.
 *
 * @module
 */

import { buildApp } from "./app.ts";

export { Member } from "../objects/index.ts";
export type { Api } from "./rpc.ts";

const app = buildApp();

export default { fetch: app.fetch };
