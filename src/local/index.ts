/**
 * A local ensemble on workerd, as `npm start` runs it.
 *
 * @module
 */

export { StartRefusal } from "./data-directory.ts";
export { type LocalEnsemble, type LocalOptions, startLocal } from "./local.ts";
