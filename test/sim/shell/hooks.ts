/**
 * Lets Node find `cloudflare:workers`: import this, then load what needs it.
 *
 * @module
 */

import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "cloudflare:workers") return next(specifier, context);
    return { url: new URL("workers.ts", import.meta.url).href, shortCircuit: true };
  },
});
