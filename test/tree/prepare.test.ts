/**
 * Proves that requests are refused with ZooKeeper's code in ZooKeeper's order, and decided absolutely.
 *
 * Precedence is shown pairwise: every op has its faults in the order of the reference (section 9 of the
 * wire reference), and a request with any two of them must fail with the earlier one's code. Then come
 * single cases the pairs can't express, and what a decided txn spells out.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  type Acl,
  CreateMode,
  type CreateRequest,
  makeSessionId,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  Perms,
  type WriteRequest,
  ZkErrorCode,
} from "../../src/base/index.ts";
import {
  bob,
  bobOnly,
  bytes,
  check,
  create,
  eve,
  Member,
  multi,
  partCodes,
  remove,
  root,
  setAcl,
  setData,
  verdict,
} from "./support.ts";

/** A request about to be spoiled, in the words of its faults. */
interface Draft {
  session: "open" | "expired" | "none";
  parent: "/open" | "/no" | "/locked" | "/ephemeral" | "/lockedEphemeral";
  name: string;
  acl: readonly Acl[] | null;
  version: number;
  type: CreateRequest["type"];
  flags: number;
  ttlMs: number;
}

interface Fault {
  readonly name: string;
  readonly code: keyof typeof ZkErrorCode;
  readonly spoils: Partial<Draft>;
}

const open = makeSessionId(1n);
const expired = makeSessionId(2n);

/**
 * Two parents, each with children `x` (version 0, empty), `full` (one child), `private` (bob's) and
 * `privateFull` (bob's, one child); and ephemeral parents.
 */
function world(): Member {
  const member = new Member();
  member.open(1n);
  for (const parent of ["/open", "/locked"]) {
    member.must(create(parent));
    for (const name of ["x", "full", "full/y", "private", "privateFull", "privateFull/y"]) {
      member.must(create(`${parent}/${name}`));
    }
    member.must(setAcl(`${parent}/private`, bobOnly));
    member.must(setAcl(`${parent}/privateFull`, bobOnly));
  }
  member.must(setAcl("/locked", bobOnly));
  const who = { session: open, identities: [bob] };
  member.must(create("/ephemeral", { flags: CreateMode.Ephemeral }), who);
  member.must(create("/lockedEphemeral", { flags: CreateMode.Ephemeral, acl: bobOnly }), who);
  return member;
}

const sessionOf = { open, expired, none: NO_SESSION };

function judge(
  member: Member,
  draft: Draft,
  makeRequest: (draft: Draft) => WriteRequest,
): string | undefined {
  const who = { session: sessionOf[draft.session], identities: [eve] };
  return verdict(member.write(makeRequest(draft), who));
}

/** Each fault alone, then each pair that spoils different things. */
function* precedenceCases(faults: readonly Fault[]): Iterable<[string, Partial<Draft>, string]> {
  for (const [at, first] of faults.entries()) {
    yield [`${first.name}`, first.spoils, first.code];
    for (const second of faults.slice(at + 1)) {
      const isShared = Object.keys(first.spoils).some((key) => key in second.spoils);
      if (!isShared)
        yield [`${first.name}, then ${second.name}`, { ...second.spoils, ...first.spoils }, first.code];
    }
  }
}

const sound: Draft = {
  session: "open",
  parent: "/open",
  name: "new",
  acl: OPEN_ACL,
  version: -1,
  type: OpCode.Create,
  flags: 0,
  ttlMs: -1,
};

describe("create: the first failing check wins", () => {
  const faults: readonly Fault[] = [
    { name: "a flag past 6", code: "BadArguments", spoils: { flags: 7 } },
    { name: "a negative flag", code: "BadArguments", spoils: { flags: -1 } },
    {
      name: "TTL switched off",
      code: "Unimplemented",
      spoils: { type: OpCode.CreateTtl, flags: 5, ttlMs: 5 },
    },
    { name: "a TTL mode under create", code: "Unimplemented", spoils: { type: OpCode.Create2, flags: 6 } },
    {
      name: "a ttl without TTL mode",
      code: "BadArguments",
      spoils: { type: OpCode.CreateTtl, flags: 0, ttlMs: 0 },
    },
    { name: "an ephemeral of nobody", code: "BadArguments", spoils: { session: "none", flags: 1 } },
    { name: "an expired session", code: "SessionExpired", spoils: { session: "expired" } },
    { name: "a NUL", code: "BadArguments", spoils: { name: "a\0" } },
    { name: "an empty ACL", code: "InvalidACL", spoils: { acl: [] } },
    { name: "a null ACL", code: "InvalidACL", spoils: { acl: null } },
    { name: "a missing parent", code: "NoNode", spoils: { parent: "/no" } },
    { name: "no CREATE on the parent", code: "NoAuth", spoils: { parent: "/locked" } },
    { name: "no CREATE on an ephemeral parent", code: "NoAuth", spoils: { parent: "/lockedEphemeral" } },
    { name: "a bad final path", code: "BadArguments", spoils: { name: ".." } },
    { name: "a taken path", code: "NodeExists", spoils: { parent: "/open", name: "x" } },
    { name: "an ephemeral parent", code: "NoChildrenForEphemerals", spoils: { parent: "/ephemeral" } },
  ];
  const request = (draft: Draft) =>
    create(`${draft.parent}/${draft.name}`, {
      type: draft.type,
      flags: draft.flags,
      ttlMs: draft.ttlMs,
      acl: draft.acl,
    });

  test.each([...precedenceCases(faults)])("%s", (_name, spoils, code) => {
    expect(judge(world(), { ...sound, ...spoils }, request)).toBe(code);
  });

  test("a sound one passes", () => {
    expect(judge(world(), sound, request)).toBe("Ok");
  });
});

describe("delete: the first failing check wins", () => {
  const faults: readonly Fault[] = [
    { name: "an expired session", code: "SessionExpired", spoils: { session: "expired" } },
    { name: "a NUL", code: "BadArguments", spoils: { name: "a\0" } },
    { name: "a missing parent", code: "NoNode", spoils: { parent: "/no" } },
    { name: "no DELETE on the parent", code: "NoAuth", spoils: { parent: "/locked" } },
    { name: "a missing znode", code: "NoNode", spoils: { name: "missing" } },
    { name: "another version", code: "BadVersion", spoils: { version: 3 } },
    { name: "children", code: "NotEmpty", spoils: { name: "full" } },
  ];
  const request = (draft: Draft) => remove(`${draft.parent}/${draft.name}`, draft.version);
  const soundDelete: Draft = { ...sound, name: "x", version: 0 };

  test.each([...precedenceCases(faults)])("%s", (_name, spoils, code) => {
    expect(judge(world(), { ...soundDelete, ...spoils }, request)).toBe(code);
  });

  test("a sound one passes, also of a znode that only bob may touch", () => {
    expect(judge(world(), soundDelete, request)).toBe("Ok");
    expect(judge(world(), { ...soundDelete, name: "private" }, request)).toBe("Ok");
  });

  test.each(["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "x", ""])(
    "%j is refused to everybody",
    (path) => {
      expect(verdict(world().write(remove(path), { identities: [root] }))).toBe("BadArguments");
    },
  );
});

describe("setData: the first failing check wins", () => {
  const faults: readonly Fault[] = [
    { name: "an expired session", code: "SessionExpired", spoils: { session: "expired" } },
    { name: "a bad path", code: "BadArguments", spoils: { name: "." } },
    { name: "a missing znode", code: "NoNode", spoils: { name: "missing" } },
    { name: "no WRITE", code: "NoAuth", spoils: { name: "private" } },
    { name: "another version", code: "BadVersion", spoils: { version: 3 } },
  ];
  const request = (draft: Draft) => setData(`${draft.parent}/${draft.name}`, null, draft.version);
  const soundSet: Draft = { ...sound, name: "x", version: 0 };

  test.each([...precedenceCases(faults)])("%s", (_name, spoils, code) => {
    expect(judge(world(), { ...soundSet, ...spoils }, request)).toBe(code);
  });

  test("a sound one passes", () => {
    expect(judge(world(), soundSet, request)).toBe("Ok");
  });
});

describe("setACL: the first failing check wins", () => {
  const faults: readonly Fault[] = [
    { name: "an expired session", code: "SessionExpired", spoils: { session: "expired" } },
    { name: "a bad path", code: "BadArguments", spoils: { name: "." } },
    { name: "an empty ACL", code: "InvalidACL", spoils: { acl: [] } },
    { name: "a missing znode", code: "NoNode", spoils: { name: "missing" } },
    { name: "no ADMIN", code: "NoAuth", spoils: { name: "private" } },
    { name: "another aversion", code: "BadVersion", spoils: { version: 3 } },
  ];
  const request = (draft: Draft) => setAcl(`${draft.parent}/${draft.name}`, draft.acl, draft.version);
  const soundSet: Draft = { ...sound, name: "x", version: 0 };

  test.each([...precedenceCases(faults)])("%s", (_name, spoils, code) => {
    expect(judge(world(), { ...soundSet, ...spoils }, request)).toBe(code);
  });

  test("a sound one passes", () => {
    expect(judge(world(), soundSet, request)).toBe("Ok");
  });
});

describe("check: the first failing check wins", () => {
  const faults: readonly Fault[] = [
    { name: "an expired session", code: "SessionExpired", spoils: { session: "expired" } },
    { name: "a bad path", code: "BadArguments", spoils: { name: "." } },
    { name: "a missing znode", code: "NoNode", spoils: { name: "missing" } },
    { name: "no READ", code: "NoAuth", spoils: { name: "private" } },
    { name: "another version", code: "BadVersion", spoils: { version: 3 } },
  ];

  test.each([...precedenceCases(faults)])("%s", (_name, spoils, code) => {
    const draft: Draft = { ...sound, name: "x", version: 0, ...spoils };
    const who = { session: sessionOf[draft.session], identities: [eve] };
    expect(
      partCodes(world().write(multi(check(`${draft.parent}/${draft.name}`, draft.version)), who)),
    ).toEqual([code]);
  });
});

describe("create: paths", () => {
  test.each([
    ["/no/such//x", 0, "NoNode"],
    ["/open/", 0, "BadArguments"],
    ["/open//x", 0, "NoNode"],
    ["//x", 0, "BadArguments"],
    ["x", 0, "BadArguments"],
    ["", 0, "BadArguments"],
    ["a/b", 0, "NoNode"],
    ["/", 0, "NodeExists"],
    ["/open/..", 0, "BadArguments"],
    ["/open/...", 0, "Ok"],
    ["/open/\ud800", 0, "BadArguments"],
    ["/open/\u00a0", 0, "Ok"],
  ])("%j with flags %d is %s", (path, flags, code) => {
    expect(verdict(world().write(create(path, { flags })))).toBe(code);
  });

  test("a sequential path may end in a slash", () => {
    const outcome = world().write(create("/open/x/", { flags: CreateMode.PersistentSequential }));
    expect(outcome.body).toEqual({ kind: "create", path: "/open/x/0000000000" });
  });
});

describe("create: the suffix of a sequential name", () => {
  test("counts every create under the parent and no delete", () => {
    const member = new Member();
    member.must(create("/q"));
    member.must(create("/q/a"));
    member.must(remove("/q/a"));
    member.must(create("/q/b"));
    const sequential = create("/q/s-", { flags: CreateMode.PersistentSequential });
    expect(member.write(sequential).body).toEqual({ kind: "create", path: "/q/s-0000000002" });
    expect(member.stat("/q").cversion).toBe(4);
  });

  test("starts at 0 under a parent that was made again", () => {
    const member = new Member();
    member.must(create("/q"));
    member.must(create("/q/a"));
    member.must(remove("/q/a"));
    member.must(remove("/q"));
    member.must(create("/q"));
    const sequential = create("/q/", { flags: CreateMode.PersistentSequential });
    expect(member.write(sequential).body).toEqual({ kind: "create", path: "/q/0000000000" });
  });

  test("is taken by each of two creates in flight", () => {
    const member = new Member();
    const request = create("/s", { flags: CreateMode.EphemeralSequential });
    const session = member.open(1n);
    const paths = [member.prepare(request, { session }), member.prepare(request, { session })].map(
      ({ op }) => (op.kind === "create" ? [op.path, op.parentCreates] : []),
    );
    expect(paths).toEqual([
      ["/s0000000000", 1],
      ["/s0000000001", 2],
    ]);
  });
});

describe("prepare() spells out", () => {
  test("who, when and the version afterwards", () => {
    const member = world();
    const txn = member.prepare(setData("/open/x", bytes("1")), { session: open });
    expect(txn).toEqual({
      sessionId: open,
      cxid: 7,
      timeMs: 1_000,
      op: { kind: "setData", path: "/open/x", data: bytes("1"), version: 1 },
    });
  });

  test("a version that wraps at 32 bits", () => {
    const member = new Member();
    member.must(create("/a"));
    for (const version of [2 ** 31 - 1, -(2 ** 31)]) {
      const before = version === 2 ** 31 - 1 ? version - 1 : 2 ** 31 - 1;
      member.apply({
        sessionId: NO_SESSION,
        cxid: 0,
        timeMs: 0,
        op: { kind: "setData", path: "/a", data: null, version: before },
      });
      member.must(setData("/a"));
      expect(member.stat("/a").version).toBe(version);
    }
  });

  test("the time to live, and the kind that the op code demands", () => {
    const member = new Member({ ttlNodes: true });
    const lifetimes = [
      create("/a", { type: OpCode.CreateTtl, flags: 5, ttlMs: 9 }),
      create("/b", { type: OpCode.CreateContainer, flags: 1 }),
      create("/c", { type: OpCode.Create2, flags: 4 }),
    ].map((request) => {
      const { op } = member.prepare(request);
      return op.kind === "create" ? op.lifetime : op;
    });
    expect(lifetimes).toEqual([{ kind: "ttl", ttlMs: 9 }, { kind: "container" }, { kind: "persistent" }]);
  });

  test.each([
    [OpCode.CreateTtl, 5, 0, "BadArguments"],
    [OpCode.CreateTtl, 5, 1, "Ok"],
    [OpCode.CreateTtl, 6, 2 ** 40 - 1, "Ok"],
    [OpCode.CreateTtl, 5, 2 ** 40, "BadArguments"],
    [OpCode.CreateTtl, 0, -1, "BadArguments"],
    [OpCode.Create, 5, 7, "BadArguments"],
    [OpCode.CreateContainer, 6, 7, "BadArguments"],
  ] as const)("with TTL znodes on, op code %d with flags %d and ttl %d is %s", (type, flags, ttlMs, code) => {
    const member = new Member({ ttlNodes: true });
    expect(verdict(member.write(create("/a", { type, flags, ttlMs })))).toBe(code);
  });
});

describe("deleteContainer", () => {
  const sweep = (path: string): WriteRequest => ({ type: OpCode.DeleteContainer, path });

  function swept(): Member {
    const member = new Member({ ttlNodes: true });
    member.must(create("/c", { type: OpCode.CreateContainer }));
    member.must(create("/ttl", { type: OpCode.CreateTtl, flags: 5, ttlMs: 100, acl: bobOnly }));
    member.must(create("/plain"));
    return member;
  }

  test("spares a container that was never used, one in use, and takes it once it is empty", () => {
    const member = swept();
    expect(verdict(member.write(sweep("/c")))).toBe("BadVersion");
    member.must(create("/c/x"));
    expect(verdict(member.write(sweep("/c")))).toBe("NotEmpty");
    member.must(remove("/c/x"));
    expect(member.tree.sweepDue(member.nowMs, 10)).toEqual(["/c"]);
    expect(verdict(member.write(sweep("/c")))).toBe("Ok");
    expect(verdict(member.write(sweep("/c")))).toBe("NoNode");
  });

  test("takes a TTL znode strictly after its time, and a setData starts that anew", () => {
    const member = swept();
    member.nowMs += 100;
    expect(verdict(member.write(sweep("/ttl")))).toBe("BadVersion");
    member.must(setData("/ttl"), { identities: [bob] });
    member.nowMs += 100;
    expect(member.tree.sweepDue(member.nowMs, 10)).toEqual([]);
    member.nowMs += 1;
    expect(member.tree.sweepDue(member.nowMs, 10)).toEqual(["/ttl"]);
    expect(verdict(member.write(sweep("/ttl")))).toBe("Ok");
  });

  test("spares a TTL znode whose new data is still in flight", () => {
    const member = swept();
    member.nowMs += 101;
    member.prepare(setData("/ttl"), { identities: [bob] });
    expect(member.prepare(sweep("/ttl")).op).toEqual({ kind: "error", code: ZkErrorCode.BadVersion });
  });

  test("never takes other znodes", () => {
    const member = swept();
    expect(verdict(member.write(sweep("/plain")))).toBe("BadVersion");
    expect(verdict(member.write(sweep("/")))).toBe("BadArguments");
  });
});

describe("permissions", () => {
  test.each([
    [Perms.Create, create("/p/new"), "Ok"],
    [Perms.All - Perms.Create, create("/p/new"), "NoAuth"],
    [Perms.Delete, remove("/p/x"), "Ok"],
    [Perms.All - Perms.Delete, remove("/p/x"), "NoAuth"],
    [Perms.Write, setData("/p"), "Ok"],
    [Perms.All - Perms.Write, setData("/p"), "NoAuth"],
    [Perms.Admin, setAcl("/p", OPEN_ACL), "Ok"],
    [Perms.All - Perms.Admin, setAcl("/p", OPEN_ACL), "NoAuth"],
  ])("with perms %d, %o is %s", (perms, request, code) => {
    const member = new Member();
    member.must(create("/p"));
    member.must(create("/p/x", { acl: bobOnly }));
    member.must(setAcl("/p", [{ scheme: "world", id: "anyone", perms }]));
    expect(verdict(member.write(request))).toBe(code);
  });

  test("super and skipAcl pass everywhere", () => {
    const member = new Member();
    member.must(create("/p", { acl: bobOnly }), { identities: [bob] });
    expect(verdict(member.write(setData("/p"), { identities: [root] }))).toBe("Ok");
    const careless = new Member({ skipAcl: true });
    careless.must(create("/p", { acl: bobOnly }));
    expect(verdict(careless.write(setData("/p")))).toBe("Ok");
  });
});
