/**
 * What scripts are made of: paths, data, ACLs and numbers, the honest ones and the others.
 *
 * Few and small, so that requests meet each other's traces.
 *
 * @module
 */

import type { Acl, ReconfigRequest } from "../../src/base/index.ts";
import { superPassword } from "./admin.ts";
import type { Draw } from "./draw.ts";

const honestPaths: readonly string[] = [
  ...["/a", "/b", "/c", "/a/a", "/a/b", "/a/c", "/b/a", "/b/b", "/a/a/a", "/a/a/b", "/a/b/c", "/b/a/a"],
  ...["/a/n-0000000000", "/a/n-0000000001", "/a/n-0000000002", "/b/n-0000000000", "/n-0000000000"],
  "/a/é",
];

const fixedPaths: readonly string[] = [
  ...["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/new"],
];

/** Refused by some operations, and simply missing to others. */
const oddPaths: readonly string[] = [
  ...["", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/.", "/a/../b", "/a/...", "/a/.x", "/ ", "/a b"],
  ...["/\u0000", "/a\u0000b", "/\u0001", "/\u001f", "/\u0020", "/\u007f", "/\u009f", "/\u00a0", "/a/\ud7ff"],
  ...[
    "/\uf8ff",
    "/\uf900",
    "/\uffef",
    "/\ufff0",
    "/\u{1f600}",
    "/none/a",
    "/none/../x",
    "/zookeeper/config/x",
  ],
];

/** Sequential creates append to these. */
const sequentialPaths: readonly string[] = ["/a/n-", "/a/", "/b/n-", "/n-", "/a/a/", "/none/n-", "/a//"];

export function drawPath(draw: Draw): string {
  const kind = draw.weighted({ honest: 86, fixed: 7, odd: 7 });
  return draw.oneOf(kind === "honest" ? honestPaths : kind === "fixed" ? fixedPaths : oddPaths);
}

/** Of what may be set: the configuration belongs to the server. */
export function drawWritablePath(draw: Draw): string {
  const path = drawPath(draw);
  return path === "/zookeeper/config" ? "/a" : path;
}

export function drawSequentialPath(draw: Draw): string {
  return draw.occurs(800) ? draw.oneOf(sequentialPaths) : drawPath(draw);
}

/** Subtrees with quotas, by where their limits stand. */
export const quotaRoots: readonly string[] = ["/zookeeper/quota/a", "/zookeeper/quota/b"];

export const noUsage = Buffer.from("count=0,bytes=0");

/** Soft and hard, close to what scripts use. What is not a quota's text a ZooKeeper server fails on. */
const someLimits: readonly string[] = [
  ...["count=3,bytes=10", "count=-1,bytes=-1", "count=4,bytes=-1=;byteHardLimit=-1;countHardLimit=4"],
  ...["count=-1,bytes=5=;byteHardLimit=1004;countHardLimit=-1", "count=-1,bytes=-1=;countHardLimit=6"],
];

export function drawLimits(draw: Draw): Uint8Array {
  return Buffer.from(draw.oneOf(someLimits));
}

type Reconfig = Omit<ReconfigRequest, "type">;

const nothing: Reconfig = { joiningServers: null, leavingServers: null, newMembers: null, curConfigId: -1n };

/** The members stay who they are: what would change them is refused. */
export const reconfigs: readonly Reconfig[] = [
  { ...nothing, leavingServers: "99" },
  { ...nothing, leavingServers: "99", curConfigId: 5n },
  { ...nothing, leavingServers: "1,2,3" },
  { ...nothing, leavingServers: "one" },
  { ...nothing, joiningServers: "nonsense" },
  { ...nothing, joiningServers: "server.9=127.0.0.1:1:2" },
  { ...nothing, newMembers: "server.8=127.0.0.1:1:2;3\nserver.9=127.0.0.1:4:5;6" },
  { ...nothing, newMembers: "nonsense" },
];

const someData: readonly (Uint8Array | null)[] = [
  null,
  new Uint8Array(0),
  Buffer.from("x"),
  Buffer.from("hello"),
  new Uint8Array([0, 255, 1, 254]),
  new Uint8Array(1000).fill(7),
];

export function drawData(draw: Draw): Uint8Array | null {
  return draw.oneOf(someData);
}

export function drawVersion(draw: Draw): number {
  return draw.oneOf([-1, -1, -1, -1, 0, 0, 1, 1, 2, 3, 4, -2, 2_147_483_647, -2_147_483_648]);
}

/** Of bob with the password pw. */
const bob = { scheme: "digest", id: "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=" };
const open: Acl = { scheme: "world", id: "anyone", perms: 31 };

const honestAcls: readonly (readonly Acl[])[] = [
  [{ ...open, perms: 1 }],
  [{ ...open, perms: 3 }],
  [{ ...open, perms: 30 }],
  [{ ...open, perms: 27 }],
  [{ ...bob, perms: 31 }],
  [
    { ...bob, perms: 31 },
    { ...open, perms: 1 },
  ],
  [
    { ...bob, perms: 3 },
    { ...open, perms: 29 },
  ],
  [{ scheme: "auth", id: "", perms: 31 }],
  [
    { scheme: "auth", id: "whatever", perms: 15 },
    { ...open, perms: 17 },
  ],
  [{ scheme: "ip", id: "127.0.0.1", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.0/8", perms: 31 }],
  [{ scheme: "ip", id: "10.1.2.3", perms: 31 }],
  [
    { scheme: "ip", id: "10.0.0.0/8", perms: 31 },
    { ...open, perms: 1 },
  ],
  [{ scheme: "ip", id: "::1", perms: 31 }, open],
];

const oddAcls: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  [open, open],
  [open, { ...open, perms: 1 }, open],
  [{ ...open, perms: 0 }],
  [{ ...open, perms: 255 }],
  [{ ...open, perms: -1 }],
  [{ scheme: "world", id: "bob", perms: 31 }],
  [{ scheme: "world", id: "", perms: 31 }],
  [{ scheme: "", id: "anyone", perms: 31 }],
  [{ scheme: "foo", id: "bar", perms: 31 }],
  [{ scheme: "super", id: "super", perms: 31 }],
  [{ scheme: "sasl", id: "bob", perms: 31 }],
  [{ scheme: "x509", id: "CN=bob", perms: 31 }],
  [{ scheme: "digest", id: "bob", perms: 31 }],
  [{ scheme: "digest", id: "bob:", perms: 31 }],
  [{ scheme: "digest", id: ":hash", perms: 31 }],
  [{ scheme: "digest", id: "a:b:c", perms: 31 }],
  [{ scheme: "digest", id: "::", perms: 31 }],
  [{ scheme: "digest", id: "", perms: 31 }],
  [{ scheme: "ip", id: "", perms: 31 }],
  [{ scheme: "ip", id: "localhost", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.1/33", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.1/0", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.1/-1", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.256", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.1/8/8", perms: 31 }],
  [{ scheme: "ip", id: "127.0.0.1/x", perms: 31 }],
  [{ scheme: "ip", id: "::1/128", perms: 31 }],
  [{ scheme: "ip", id: "::1/129", perms: 31 }],
  [{ scheme: "ip", id: "1::2::3", perms: 31 }],
  [{ scheme: "ip", id: "::ffff:127.0.0.1", perms: 31 }],
];

export function drawAcl(draw: Draw): readonly Acl[] | null {
  const kind = draw.weighted({ open: 86, honest: 9, odd: 5 });
  if (kind === "open") return [open];
  return draw.oneOf(kind === "honest" ? honestAcls : oddAcls);
}

interface Credentials {
  readonly scheme: string;
  readonly auth: Uint8Array | null;
}

const goodCredentials: readonly Credentials[] = [
  { scheme: "digest", auth: Buffer.from("bob:pw") },
  { scheme: "digest", auth: Buffer.from("bob:other") },
  { scheme: "digest", auth: Buffer.from("alice:pw") },
  { scheme: "digest", auth: Buffer.from(superPassword) },
  { scheme: "digest", auth: Buffer.from("super:wrong") },
  { scheme: "digest", auth: Buffer.from("nocolon") },
  { scheme: "digest", auth: Buffer.from("") },
  { scheme: "digest", auth: Buffer.from(":") },
  { scheme: "digest", auth: Buffer.from("a:b:c") },
  { scheme: "ip", auth: Buffer.from("whatever") },
  { scheme: "ip", auth: null },
];

/** These cost the connection. */
const badCredentials: readonly Credentials[] = [
  { scheme: "world", auth: Buffer.from("anyone") },
  { scheme: "foo", auth: Buffer.from("bar") },
  { scheme: "", auth: Buffer.from("") },
  { scheme: "sasl", auth: Buffer.from("bob") },
  { scheme: "super", auth: Buffer.from(superPassword) },
  { scheme: "auth", auth: Buffer.from("bob:pw") },
  { scheme: "digest", auth: null },
];

export function drawCredentials(draw: Draw): Credentials {
  return draw.oneOf(draw.occurs(850) ? goodCredentials : badCredentials);
}
