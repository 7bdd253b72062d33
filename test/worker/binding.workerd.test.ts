/**
 * Proves that the SDK's driver for service bindings carries any path and any value as they are, inside the Workers
 * runtime, from one Worker to the ensemble's.
 */

import { SELF } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nameOf, parentOf } from "../../src/base/index.ts";
import { connect } from "../../src/client/index.ts";
import { znodePath, znodeValue } from "../support/znode-arbitraries.ts";

/** Without a token the Worker serves a loopback host only, and a binding's is nobody's. */
const binding = {
  fetch(url: string, init?: { readonly headers?: Record<string, string> }) {
    const local = new URL(url);
    local.hostname = "127.0.0.1";
    return SELF.fetch(local.href, init);
  },
};

test("SDK, service binding: any path and value come back as they were", async () => {
  await using zk = connect({ binding, ensemble: "main" });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(znodePath, znodeValue, fc.boolean(), async (tail, value, isTransaction) => {
      runs += 1;
      const path = `/bound/${runs}${tail}`;
      await zk.createPath(parentOf(path));
      if (isTransaction) await zk.transaction().create(path, value).commit();
      else expect(await zk.create(path, value)).toBe(path);
      expect((await zk.get(path)).data).toEqual(value);
      expect(await zk.children(parentOf(path))).toEqual([nameOf(path)]);
    }),
    { numRuns: 40 },
  );
});
