/**
 * Proves that a listing is remembered until a child comes or goes, is never an outdated one, and that the
 * memory of listings is bounded.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Listings } from "../../src/tree/listings.ts";
import { MemoryRows } from "../../src/tree/memory-rows.ts";
import { ZnodeCache } from "../../src/tree/znode-cache.ts";
import { initialZnodes } from "../../src/tree/znodes.ts";

const [, root] = [...initialZnodes()][0] ?? [];

function cacheWith(...paths: string[]): ZnodeCache {
  if (root === undefined) throw new Error("a tree begins with a root");
  const cache = new ZnodeCache(new MemoryRows(), 1_000_000);
  for (const path of paths) cache.create(path, root);
  return cache;
}

describe("allChildren()", () => {
  test("is the same array until a child comes or goes", () => {
    const cache = cacheWith("/", "/a", "/a/x", "/a/y");
    const first = cache.allChildren("/a", 2);
    expect(cache.allChildren("/a", 2)).toBe(first);
    cache.create("/a/z", cache.get("/a/x") ?? expect.fail());
    const second = cache.allChildren("/a", 3);
    expect([...second].sort()).toEqual(["x", "y", "z"]);
    cache.delete("/a/x");
    expect([...cache.allChildren("/a", 2)].sort()).toEqual(["y", "z"]);
    expect([...first].sort()).toEqual(["x", "y"]);
  });

  test("stays as it is when a child changes, or a grandchild comes", () => {
    const cache = cacheWith("/", "/a", "/a/x");
    const first = cache.allChildren("/a", 1);
    cache.replace("/a/x", cache.get("/a") ?? expect.fail());
    cache.create("/a/x/deep", cache.get("/a") ?? expect.fail());
    expect(cache.allChildren("/a", 1)).toBe(first);
  });

  test("is gathered anew after the rows were replaced", () => {
    const cache = cacheWith("/", "/a", "/a/x");
    cache.allChildren("/a", 1);
    cache.clear();
    expect(cache.allChildren("/a", 0)).toEqual([]);
  });

  test("of a scan leaves nothing in memory", () => {
    const cache = cacheWith("/", "/a", "/a/x");
    expect(cache.peekChildren("/a", 1)).not.toBe(cache.peekChildren("/a", 1));
  });

  test("equals the children there are, whatever was asked before (property)", () => {
    const act = fc.record({
      kind: fc.constantFrom("create", "delete", "list"),
      parent: fc.constantFrom("/a", "/b"),
      name: fc.constantFrom("1", "2", "3", "4"),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const cache = cacheWith("/", "/a", "/b");
        const names = { "/a": new Set<string>(), "/b": new Set<string>() };
        for (const { kind, parent, name } of acts) {
          const known = names[parent as "/a" | "/b"];
          if (kind === "create" && !known.has(name)) {
            known.add(name);
            cache.create(`${parent}/${name}`, cache.get("/a") ?? expect.fail());
          } else if (kind === "delete" && known.delete(name)) {
            cache.delete(`${parent}/${name}`);
          } else if (kind === "list") {
            expect([...cache.allChildren(parent, known.size)].sort()).toEqual([...known].sort());
          }
        }
      }),
    );
  });
});

describe("the memory of listings", () => {
  // 200 for the listing, 28 for each name, three bytes for each of its units and the parent's.
  const one = 200 + 28 + 3 * 3;

  test("keeps as many as fit, those used last", () => {
    const listings = new Listings(2 * one);
    listings.set("/a", ["1"]);
    listings.set("/b", ["1"]);
    expect(listings.get("/a")).toEqual(["1"]);
    listings.set("/c", ["1"]);
    expect([listings.get("/a"), listings.get("/b"), listings.get("/c")]).toEqual([["1"], undefined, ["1"]]);
  });

  test("keeps one at the bound, and not one past it", () => {
    const listings = new Listings(one);
    listings.set("/a", ["1"]);
    listings.set("/a", ["12"]);
    expect(listings.get("/a")).toBeUndefined();
    listings.set("/a", ["2"]);
    expect(listings.get("/a")).toEqual(["2"]);
  });

  test("counts what it forgets", () => {
    const listings = new Listings(one);
    for (let round = 0; round < 3; round++) {
      listings.set("/a", ["1"]);
      listings.set("/a", ["2"]);
      expect(listings.get("/a")).toEqual(["2"]);
      if (round === 1) listings.clear();
      else listings.forget("/a");
      expect(listings.get("/a")).toBeUndefined();
    }
  });
});
