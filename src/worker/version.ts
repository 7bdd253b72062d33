/** The version `/health` tells; `test/worker/health.test.ts` holds it to package.json. */
export const version = "0.1.0";
