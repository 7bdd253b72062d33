/**
 * Golden bytes of requests and replies.
 *
 * Bodies were captured from the jute classes of ZooKeeper 3.9.4 (`Record#serialize` into a
 * `BinaryOutputArchive`), kazoo's from `kazoo.protocol.serialization` 2.11.0.
 *
 * @module
 */

import {
  type ClientRequest,
  makeSessionId,
  OPEN_ACL,
  OpCode,
  type ResponseBody,
  type Stat,
} from "../../src/base/index.ts";

const x = Uint8Array.of(0x78);
const openAcl = "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65";

const stat: Stat = {
  czxid: { epoch: 1, counter: 2 },
  mzxid: { epoch: 1, counter: 3 },
  ctime: 1_700_000_000_123,
  mtime: 1_700_000_000_456,
  version: 1,
  cversion: -2,
  aversion: 3,
  ephemeralOwner: makeSessionId(0xff00a3c2f5b00001n),
  dataLength: 5,
  numChildren: 6,
  pzxid: { epoch: 1, counter: 0xfffffffe },
};

const statHex =
  "0000000100000002 0000000100000003 0000018bcfe5687b 0000018bcfe569c8 00000001 fffffffe 00000003" +
  "ff00a3c2f5b00001 00000005 00000006 00000001fffffffe";

const createHead = { path: "/a", data: x, acl: OPEN_ACL, ttlMs: -1 };
const createHex = `00000002 2f61 00000001 78 ${openAcl}`;
const ttlHex = `00000002 2f74 00000001 78 ${openAcl} 00000005 000000000000ea60`;

/** Name, body without the header, request. */
export const requests: readonly (readonly [string, string, ClientRequest])[] = [
  ["create", `${createHex} 00000003`, { type: OpCode.Create, ...createHead, flags: 3 }],
  ["create2", `${createHex} 00000003`, { type: OpCode.Create2, ...createHead, flags: 3 }],
  ["createContainer", `${createHex} 00000004`, { type: OpCode.CreateContainer, ...createHead, flags: 4 }],
  ["createTTL", ttlHex, { type: OpCode.CreateTtl, ...createHead, path: "/t", flags: 5, ttlMs: 60_000 }],
  [
    "create with nulls",
    "00000002 2f61 ffffffff ffffffff 00000000",
    { type: OpCode.Create, path: "/a", data: null, acl: null, flags: 0, ttlMs: -1 },
  ],
  ["delete", "00000002 2f61 ffffffff", { type: OpCode.Delete, path: "/a", version: -1 }],
  ["exists", "00000002 2f61 01", { type: OpCode.Exists, path: "/a", watch: true }],
  ["getData", "00000002 2f61 00", { type: OpCode.GetData, path: "/a", watch: false }],
  ["getChildren", "00000002 2f61 01", { type: OpCode.GetChildren, path: "/a", watch: true }],
  ["getChildren2", "00000002 2f61 01", { type: OpCode.GetChildren2, path: "/a", watch: true }],
  [
    "setData",
    "00000002 2f61 00000001 78 00000002",
    { type: OpCode.SetData, path: "/a", data: x, version: 2 },
  ],
  [
    "setData of nothing",
    "00000002 2f61 00000000 00000002",
    { type: OpCode.SetData, path: "/a", data: new Uint8Array(0), version: 2 },
  ],
  ["getACL", "00000002 2f61", { type: OpCode.GetAcl, path: "/a" }],
  [
    "setACL",
    "00000002 2f61 00000002 00000005 00000006 646967657374 00000005 626f623a68 0000001f 00000004 61757468" +
      "00000000 00000004",
    {
      type: OpCode.SetAcl,
      path: "/a",
      acl: [
        { perms: 5, scheme: "digest", id: "bob:h" },
        { perms: 31, scheme: "auth", id: "" },
      ],
      version: 4,
    },
  ],
  ["sync", "00000002 2f61", { type: OpCode.Sync, path: "/a" }],
  [
    "reconfig",
    "00000010 7365727665722e313d683a313a323b33 ffffffff 00000000 ffffffffffffffff",
    {
      type: OpCode.Reconfig,
      joiningServers: "server.1=h:1:2;3",
      leavingServers: null,
      newMembers: "",
      curConfigId: -1n,
    },
  ],
  ["checkWatches", "00000002 2f61 00000001", { type: OpCode.CheckWatches, path: "/a", watcherType: 1 }],
  ["removeWatches", "00000002 2f61 00000003", { type: OpCode.RemoveWatches, path: "/a", watcherType: 3 }],
  [
    "auth",
    "00000000 00000006 646967657374 00000006 626f623a7077",
    { type: OpCode.Auth, scheme: "digest", auth: new TextEncoder().encode("bob:pw") },
  ],
  ["sasl", "00000001 78", { type: OpCode.Sasl, token: x }],
  [
    "setWatches",
    "0000000100000002 00000001 00000002 2f64 00000001 00000002 2f65 00000002 00000002 2f63 00000003 2f6332",
    {
      type: OpCode.SetWatches,
      relativeZxid: 0x100000002n,
      data: ["/d"],
      exist: ["/e"],
      child: ["/c", "/c2"],
      persistent: [],
      persistentRecursive: [],
    },
  ],
  [
    "setWatches2",
    "0000000100000002 00000001 00000002 2f64 00000001 00000002 2f65 00000001 00000002 2f63" +
      "00000001 00000002 2f70 00000001 00000002 2f72",
    {
      type: OpCode.SetWatches2,
      relativeZxid: 0x100000002n,
      data: ["/d"],
      exist: ["/e"],
      child: ["/c"],
      persistent: ["/p"],
      persistentRecursive: ["/r"],
    },
  ],
  ["getEphemerals", "00000002 2f61", { type: OpCode.GetEphemerals, path: "/a" }],
  ["getAllChildrenNumber", "00000002 2f61", { type: OpCode.GetAllChildrenNumber, path: "/a" }],
  ["addWatch", "00000002 2f61 00000001", { type: OpCode.AddWatch, path: "/a", mode: 1 }],
  [
    "multi",
    `00000001 00 ffffffff ${createHex} 00000000` +
      `00000013 00 ffffffff 00000002 2f62 00000001 78 ${openAcl} 00000004` +
      `00000015 00 ffffffff ${ttlHex}` +
      "00000002 00 ffffffff 00000002 2f61 00000003" +
      "00000005 00 ffffffff 00000002 2f61 00000001 78 00000004" +
      "0000000d 00 ffffffff 00000002 2f61 00000005" +
      "ffffffff 01 ffffffff",
    {
      type: OpCode.Multi,
      ops: [
        { type: OpCode.Create, ...createHead, flags: 0 },
        { type: OpCode.CreateContainer, ...createHead, path: "/b", flags: 4 },
        { type: OpCode.CreateTtl, ...createHead, path: "/t", flags: 5, ttlMs: 60_000 },
        { type: OpCode.Delete, path: "/a", version: 3 },
        { type: OpCode.SetData, path: "/a", data: x, version: 4 },
        { type: OpCode.Check, path: "/a", version: 5 },
      ],
    },
  ],
  ["multi of nothing", "ffffffff 01 ffffffff", { type: OpCode.Multi, ops: [] }],
  [
    "multiRead",
    "00000004 00 ffffffff 00000002 2f61 00 00000008 00 ffffffff 00000002 2f62 00 ffffffff 01 ffffffff",
    {
      type: OpCode.MultiRead,
      ops: [
        { type: OpCode.GetData, path: "/a", watch: false },
        { type: OpCode.GetChildren, path: "/b", watch: false },
      ],
    },
  ],
  ["ping", "", { type: OpCode.Ping }],
  ["whoAmI", "", { type: OpCode.WhoAmI }],
  ["closeSession", "", { type: OpCode.CloseSession }],
];

/** Name, type of the request answered, body without the header, body. */
export const bodies: readonly (readonly [string, OpCode, string, ResponseBody])[] = [
  ["create", OpCode.Create, "00000002 2f61", { kind: "create", path: "/a" }],
  ["create2", OpCode.Create2, `00000002 2f61 ${statHex}`, { kind: "create2", path: "/a", stat }],
  [
    "createContainer",
    OpCode.CreateContainer,
    `00000002 2f61 ${statHex}`,
    { kind: "create2", path: "/a", stat },
  ],
  ["createTTL", OpCode.CreateTtl, `00000002 2f61 ${statHex}`, { kind: "create2", path: "/a", stat }],
  ["exists", OpCode.Exists, statHex, { kind: "stat", stat }],
  ["setData", OpCode.SetData, statHex, { kind: "stat", stat }],
  ["setACL", OpCode.SetAcl, statHex, { kind: "stat", stat }],
  ["getData", OpCode.GetData, `00000001 78 ${statHex}`, { kind: "data", data: x, stat }],
  ["getData of null", OpCode.GetData, `ffffffff ${statHex}`, { kind: "data", data: null, stat }],
  ["reconfig", OpCode.Reconfig, `00000001 78 ${statHex}`, { kind: "data", data: x, stat }],
  [
    "getChildren",
    OpCode.GetChildren,
    "00000002 00000001 61 00000001 62",
    { kind: "children", children: ["a", "b"] },
  ],
  [
    "getChildren2",
    OpCode.GetChildren2,
    `00000002 00000001 61 00000001 62 ${statHex}`,
    { kind: "children2", children: ["a", "b"], stat },
  ],
  ["getACL", OpCode.GetAcl, `${openAcl} ${statHex}`, { kind: "acl", acl: OPEN_ACL, stat }],
  ["sync", OpCode.Sync, "00000002 2f61", { kind: "path", path: "/a" }],
  ["sasl", OpCode.Sasl, "00000001 78", { kind: "token", token: x }],
  [
    "getEphemerals",
    OpCode.GetEphemerals,
    "00000002 00000002 2f61 00000002 2f62",
    { kind: "ephemerals", paths: ["/a", "/b"] },
  ],
  ["getAllChildrenNumber", OpCode.GetAllChildrenNumber, "00000009", { kind: "number", total: 9 }],
  ["addWatch", OpCode.AddWatch, "00000000", { kind: "ok" }],
  [
    "whoAmI",
    OpCode.WhoAmI,
    "00000002 00000002 6970 00000009 3132372e302e302e31 00000006 646967657374 00000003 626f62",
    {
      kind: "identities",
      identities: [
        { scheme: "ip", id: "127.0.0.1" },
        { scheme: "digest", id: "bob" },
      ],
    },
  ],
  [
    "multi",
    OpCode.Multi,
    "00000001 00 00000000 00000002 2f61" +
      `0000000f 00 00000000 00000002 2f62 ${statHex}` +
      "00000002 00 00000000" +
      `00000005 00 00000000 ${statHex}` +
      "0000000d 00 00000000" +
      "ffffffff 01 ffffffff",
    {
      kind: "multi",
      results: [
        { kind: "created", path: "/a" },
        { kind: "createdWithStat", path: "/b", stat },
        { kind: "deleted" },
        { kind: "dataSet", stat },
        { kind: "checked" },
      ],
    },
  ],
  [
    "multiRead",
    OpCode.MultiRead,
    `00000004 00 00000000 00000001 78 ${statHex}` +
      "00000008 00 00000000 00000001 00000001 63" +
      "ffffffff 00 ffffff9b ffffff9b" +
      "ffffffff 01 ffffffff",
    {
      kind: "multi",
      results: [
        { kind: "data", data: x, stat },
        { kind: "children", children: ["c"] },
        { kind: "error", code: -101 },
      ],
    },
  ],
];

/** Whole frames of kazoo, without their length prefixes: header and body. */
export const kazooRequests: readonly (readonly [string, string, number, ClientRequest])[] = [
  [
    "create with the id of scheme auth null",
    "00000001 00000001 00000002 2f61 00000000 00000001 0000001f 00000004 61757468 ffffffff 00000000",
    1,
    {
      type: OpCode.Create,
      path: "/a",
      data: new Uint8Array(0),
      acl: [{ perms: 31, scheme: "auth", id: "" }],
      flags: 0,
      ttlMs: -1,
    },
  ],
  [
    "auth",
    "fffffffc 00000064 00000000 00000006 646967657374 00000006 626f623a7077",
    -4,
    { type: OpCode.Auth, scheme: "digest", auth: new TextEncoder().encode("bob:pw") },
  ],
  [
    "transaction",
    `00000006 0000000e 00000001 00 ffffffff ${createHex} 00000000` +
      "0000000d 00 ffffffff 00000002 2f61 00000000" +
      "00000005 00 ffffffff 00000002 2f61 00000001 79 ffffffff" +
      "00000002 00 ffffffff 00000002 2f61 ffffffff" +
      "ffffffff 01 ffffffff",
    6,
    {
      type: OpCode.Multi,
      ops: [
        { type: OpCode.Create, ...createHead, flags: 0 },
        { type: OpCode.Check, path: "/a", version: 0 },
        { type: OpCode.SetData, path: "/a", data: Uint8Array.of(0x79), version: -1 },
        { type: OpCode.Delete, path: "/a", version: -1 },
      ],
    },
  ],
];
