/**
 * The version that `/health` tells. `test/worker/app.test.ts` holds it to package.json, which is not
 * imported because it would be bundled whole.
 *
 * @module
 */

export const version = "0.1.0";
