/** Grants, true and false, and a resource that checks tokens. */

import { describe, expect, it } from "vitest";
import { checkGrants, type Grant, Resource } from "./locks.ts";
import { opened, story, z } from "./telling.ts";

const first = "a__lock__0000000000";
const second = "b__lock__0000000001";
const third = "c__rlock__0000000002";
const fourth = "d__rlock__0000000003";
// 3: first holds; 4: second waits; 7: second holds; 8: both shared ones hold.
const told = story(
  opened,
  "+/l",
  `e/l/${first}`,
  `e/l/${second}`,
  `e/l/${third}`,
  `e/l/${fourth}`,
  `-/l/${first}`,
  `-/l/${second}`,
);

function grant(contender: string, token: number, at: number, given: Partial<Grant> = {}): Grant {
  return { path: "/l", contender, token: z(token), isShared: false, from: z(at), through: z(at), ...given };
}

const shared = { isShared: true };

describe("checkGrants()", () => {
  it.each([
    ["one after the other", [grant(first, 3, 4), grant(second, 4, 7)]],
    ["told in another order", [grant(second, 4, 7), grant(first, 3, 3)]],
    ["a moment within the window", [grant("b__", 4, 4, { through: z(7) })]],
    ["shared ones together", [grant(third, 5, 8, shared), grant(fourth, 6, 8, shared)]],
  ])("lets pass %s", (_, grants) => {
    expect(() => checkGrants(told, grants)).not.toThrow();
  });

  it.each([
    ["the second while the first holds", "K1", [grant(first, 3, 4), grant(second, 4, 4)]],
    ["one who has left", "K1", [grant(first, 3, 7)]],
    ["a shared one behind an exclusive one", "K1", [grant(third, 5, 7, shared)]],
    ["an exclusive one as shared", "K1", [grant(first, 3, 4, shared)]],
    ["another's token", "K2", [grant(first, 4, 4)]],
  ] as const)("refuses %s (%s)", (_, invariant, grants) => {
    expect(() => checkGrants(told, grants)).toThrow(new RegExp(`^${invariant}:`));
  });

  it("refuses a later comer that held first (K3)", () => {
    const jumped = story(opened, "+/l", `e/l/${second}`, `e/l/${first}`, `-/l/${first}`);
    expect(() => checkGrants(jumped, [grant(first, 4, 4)])).not.toThrow();
    expect(() => checkGrants(jumped, [grant(first, 4, 4), grant(second, 3, 5)])).toThrow(/^K3:/);
  });
});

describe("a resource", () => {
  it("keeps a former holder's late writes out, and lets a holder write again", () => {
    const resource = new Resource();
    expect([4, 4, 7, 4, 7].map((counter) => resource.use(z(counter)))).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
    expect([resource.accepted, resource.refused]).toEqual([4, 1]);
  });
});
