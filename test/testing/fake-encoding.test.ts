/**
 * Proves that the fake ensemble keeps any path and any value as they are: created alone and in a transaction, read
 * and listed.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { nameOf, parentOf } from "../../src/base/index.ts";
import { fakeEnsemble } from "../../src/testing/index.ts";
import { refusedName, znodePath, znodeValue } from "../support/znode-arbitraries.ts";

test("fake: any path and value come back as they were", async () => {
  const zk = fakeEnsemble().connect();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(znodePath, znodeValue, fc.boolean(), async (tail, value, isTransaction) => {
      runs += 1;
      const path = `/run-${runs}${tail}`;
      await zk.createPath(parentOf(path));
      if (isTransaction) await zk.transaction().create(path, value).commit();
      else expect(await zk.create(path, value)).toBe(path);
      expect((await zk.get(path)).data).toEqual(value);
      expect(await zk.children(parentOf(path))).toEqual([nameOf(path)]);
    }),
  );
});

test("fake: a name that no znode may have is refused", async () => {
  const zk = fakeEnsemble().connect();
  await fc.assert(
    fc.asyncProperty(refusedName, async (name) => {
      await expect(zk.create(`/${name}`)).rejects.toMatchObject({ codeName: "BadArguments" });
      expect(() => zk.transaction().create(`/${name}`)).toThrow(
        expect.objectContaining({ codeName: "BadArguments" }),
      );
    }),
  );
  expect(await zk.children("/")).toEqual(["zookeeper"]);
});
