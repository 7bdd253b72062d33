/**
 * The text of `/zookeeper/config`, written and read.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { makeServerId, makeZxid } from "../../src/base/index.ts";
import {
  defaultAddress,
  formatConfig,
  formatServers,
  locationOf,
  parseServerIds,
  parseServers,
} from "../../src/tree/config-text.ts";

const [one, two, ten] = [1, 2, 10].map(makeServerId);

describe("formatServers()", () => {
  test("writes a line each in order of ids, as ZooKeeper 3.9 does", () => {
    const servers = [
      { id: ten, role: "observer", address: "member-10.weur:2888:3888", client: undefined },
      { id: one, role: "voter", address: "10.0.0.1:2888:3888", client: "0.0.0.0:2181" },
    ] as const;
    const text = formatServers(servers as never);
    expect(text).toBe(
      "server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\nserver.10=member-10.weur:2888:3888:observer\n",
    );
    expect(formatConfig(text, makeZxid(1, 0xab))).toBe(`${text}version=1000000ab`);
    expect(parseServers(text)).toEqual([servers[1], servers[0]]);
  });
});

describe("parseServers()", () => {
  test.each([
    ["server.1=a:1:2", { role: "voter", address: "a:1:2", client: undefined }],
    ["server.1=a:1:2:participant;2181", { role: "voter", address: "a:1:2", client: "0.0.0.0:2181" }],
    ["server.1=a:1:2:observer;b:2181", { role: "observer", address: "a:1:2", client: "b:2181" }],
    ["server.1 = a:1:65535", { role: "voter", address: "a:1:65535", client: undefined }],
    ["server.1=[::1]:1:2;[::1]:3", { role: "voter", address: "[::1]:1:2", client: "[::1]:3" }],
    ["server.1=a:1:2|b:3:4:observer;5", { role: "observer", address: "a:1:2|b:3:4", client: "0.0.0.0:5" }],
  ])("reads %s", (text, server) => {
    expect(parseServers(text)).toEqual([{ id: one, ...server }]);
  });

  test("takes commas, newlines, empty entries and a version", () => {
    const ids = (text: string) => parseServers(text)?.map(({ id }) => id);
    expect(ids("server.1=a:1:2,server.2=b:1:2")).toEqual([one, two]);
    expect(ids("server.1=a:1:2\nserver.2=b:1:2\nversion=100000001")).toEqual([one, two]);
    expect(ids("")).toEqual([]);
    expect(ids(", ,\n")).toEqual([]);
  });

  test.each([
    "server.0=a:1:2",
    "server.255=a:1:2",
    "server.1=a:1",
    "server.1=a:0:2",
    "server.1=a:1:65536",
    "server.1=a:1:2:king",
    "server.1=a:1:2;",
    "server.1=a:1:2;b:0",
    "server.1=a:1:2;1;2",
    "server.1=",
    "server.1=a:1:2,server.1=b:1:2",
    "group.1=1:2",
    "weight.1=2",
    "x",
  ])("refuses %s", (text) => {
    expect(parseServers(text)).toBe(undefined);
  });
});

describe("parseServerIds()", () => {
  test("takes ids parted by commas, and nothing else", () => {
    expect(parseServerIds("1, 10,")).toEqual([one, ten]);
    expect(parseServerIds("")).toEqual([]);
    for (const text of ["0", "255", "a", "1;2", "01"]) expect(parseServerIds(text)).toBe(undefined);
  });
});

describe("a member's host", () => {
  test.each([
    ["weur", "member-2.weur:2888:3888"],
    [undefined, "member-2:2888:3888"],
  ])("says that it is in %s", (location, address) => {
    expect(defaultAddress(makeServerId(2), location)).toBe(address);
    expect(locationOf({ id: makeServerId(2), role: "voter", address, client: undefined })).toBe(location);
  });
});
