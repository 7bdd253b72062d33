/**
 * Pages of children with their values: what is on a page, where it ends, and what its reader may see.
 */

import { describe, expect, test } from "vitest";
import { type Acl, CreateMode, OPEN_ACL, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { answerRead, pageValueBytesMax } from "../../src/objects/http-reads.ts";
import { Leader } from "./support/leader.ts";

const request = { type: "childrenPage", path: "/", after: undefined, limit: 1_000 } as const;

function leaderWith(values: Readonly<Record<string, number>>, acl: readonly Acl[] = OPEN_ACL): Leader {
  const leader = new Leader({ isLone: true });
  for (const [path, bytes] of Object.entries(values)) {
    const data = new Uint8Array(bytes);
    leader.submit({ type: OpCode.Create, path, data, acl, flags: CreateMode.Persistent, ttlMs: -1 });
    leader.settle();
  }
  return leader;
}

function pageOf({ tree }: Leader, more: Partial<Parameters<typeof answerRead>[1]>) {
  const { children, more: isMore } = answerRead(tree, { ...request, ...more } as typeof request, []);
  return { names: children?.map(({ name }) => name), more: isMore };
}

describe("objects: a page of children with values", () => {
  test("objects: children page: ends where values as large as may be end, and goes on behind", () => {
    const half = pageValueBytesMax / 2;
    const leader = leaderWith({ "/a": half, "/b": half, "/c": 0, "/d": 1 });
    const parts = { with: ["value"] } as const;
    expect(pageOf(leader, parts)).toEqual({ names: ["a", "b", "c"], more: true });
    expect(pageOf(leader, { ...parts, after: "c", limit: 1 })).toEqual({ names: ["d"], more: true });
    expect(pageOf(leader, { with: ["stat"] })).toEqual({
      names: ["a", "b", "c", "d", "zookeeper"],
      more: false,
    });
  });

  test("objects: children page: the first child is on it, however large", () => {
    const leader = leaderWith({ "/a": pageValueBytesMax + 1, "/b": 1 });
    expect(pageOf(leader, { with: ["value"] })).toEqual({ names: ["a"], more: true });
  });

  test("objects: children page: a value is for whom its ACL lets read, a stat for everybody", () => {
    const acl = [{ perms: 31, scheme: "ip", id: "10.0.0.1" }];
    const { tree } = leaderWith({ "/a": 3 }, acl);
    const read = (identities: readonly { scheme: string; id: string }[]) =>
      answerRead(tree, { ...request, with: ["stat", "value"] }, identities).children?.[0];
    expect(read([])).toMatchObject({ name: "a", stat: { dataLength: 3 }, denied: true });
    expect(read([])?.data).toBeUndefined();
    expect(read([{ scheme: "ip", id: "10.0.0.1" }])).toMatchObject({ name: "a", data: new Uint8Array(3) });
  });
});

describe("objects: a subtree", () => {
  const subtreeOf = ({ tree }: Leader, limit: number) => {
    const { outcome, more } = answerRead(tree, { type: "subtree", path: "/a", limit }, []);
    return { err: outcome.err, children: outcome.body?.kind === "children" && outcome.body.children, more };
  };

  test("objects: subtree: children stand before their parents, and one more than the limit shows", () => {
    const leader = leaderWith({ "/a": 0, "/a/b": 0, "/a/b/c": 0, "/a/d": 0, "/ab": 0 });
    const children = ["/a/b/c", "/a/b", "/a/d", "/a"];
    expect(subtreeOf(leader, 4)).toEqual({ err: 0, children, more: false });
    expect(subtreeOf(leader, 3)).toMatchObject({ err: 0, more: true });
  });

  test("objects: subtree: is refused where one of its znodes must not be listed", () => {
    const leader = leaderWith({ "/a": 0, "/a/b": 0 }, [{ perms: 4, scheme: "world", id: "anyone" }]);
    expect(subtreeOf(leader, 4)).toMatchObject({ err: ZkErrorCode.NoAuth });
    expect(subtreeOf(leaderWith({}), 4)).toMatchObject({ err: ZkErrorCode.NoNode });
  });
});
