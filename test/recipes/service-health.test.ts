/**
 * Proves the checker's decisions: what may be asked and what not, and what an outcome makes of a state.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import {
  isPrivateHost,
  originFault,
  parseCheck,
  parseHealth,
  periodMs,
  stateAfter,
  timeoutMs,
  urlFault,
} from "../../src/recipes/service-health.ts";

describe("urlFault()", () => {
  const allow = [
    "https://api.example.com",
    "https://*.example.org:8443",
    "http://10.0.0.7:8080",
    "http://localhost",
  ];

  test.each([
    "https://api.example.com/health?deep=1",
    "https://api.example.com:443/",
    "https://a.example.org:8443/",
    "https://a.b.example.org:8443/",
  ])("allows %s", (url) => {
    expect(urlFault(url, { allow, privateAddresses: false })).toBeUndefined();
  });

  test.each([
    ["not a url", "none"],
    ["file:///etc/passwd", "neither http nor https"],
    ["https://user:secret@api.example.com/", "a credential"],
    ["http://api.example.com/", "not allowed"],
    ["https://api.example.com:444/", "not allowed"],
    ["https://api.example.com.evil.net/", "not allowed"],
    ["https://evilexample.org:8443/", "not allowed"],
    ["https://example.org:8443/", "not allowed"],
    ["https://a.example.org/", "not allowed"],
    ["https://169.254.169.254/", "not allowed"],
    ["http://10.0.0.7:8080/", "private"],
    ["http://0x0a000007:8080/", "private"],
    ["http://localhost/", "private"],
  ])("refuses %s: %s", (url, why) => {
    expect(urlFault(url, { allow, privateAddresses: false })).toContain(why);
  });

  test("allows private addresses when told to, if their origin is allowed", () => {
    expect(urlFault("http://10.0.0.7:8080/", { allow, privateAddresses: true })).toBeUndefined();
    expect(urlFault("http://10.0.0.8:8080/", { allow, privateAddresses: true })).toContain("not allowed");
  });
});

test("isPrivateHost() knows every spelling and every range", () => {
  const hostOf = (host: string) => new URL(`http://${host}/`).hostname;
  const ranges = ["0.1.2.3", "10.255.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254"];
  const more = [
    "172.16.0.1",
    "172.31.9.9",
    "192.168.1.1",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
  ];
  const spellings = [
    "2130706433",
    "0x7f.1",
    "017700000001",
    "127.1",
    "localhost",
    "LOCALHOST.",
    "api",
    "db.internal",
  ];
  const six = [
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[fe80::1]",
    "[fd00::1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
  ];
  const teredo = ["[2001::1]", "[2001:0:1::]", "[2001:db8::1]", "[ff02::1]"];
  for (const host of [...ranges, ...more, ...spellings, ...six, ...teredo]) {
    expect([host, isPrivateHost(hostOf(host))]).toEqual([host, true]);
  }
  const open = [
    "1.1.1.1",
    "100.63.0.1",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.1.0.1",
    "example.com",
  ];
  for (const host of [...open, "[2606:4700::1111]", "[2001:4860::8888]"]) {
    expect([host, isPrivateHost(hostOf(host))]).toEqual([host, false]);
  }
});

test.each([
  "https://api.example.com",
  "http://127.0.0.1:80",
  "https://*.example.com:8443",
  "http://[::1]:8080",
])("originFault() takes %s", (pattern) => {
  expect(originFault(pattern)).toBeUndefined();
});

test.each([
  "",
  "*",
  "api.example.com",
  "https://api.example.com/",
  "https://a.com/x",
  "ftp://a.com",
  "https://a*.com",
])("originFault() refuses %j", (pattern) => {
  expect(originFault(pattern)).toContain("is no origin");
});

describe("parseCheck()", () => {
  const http = { kind: "http", url: "https://a.com/", intervalMs: 10_000, timeoutMs: 5_000 };

  test.each([
    http,
    { ...http, intervalMs: periodMs.min, timeoutMs: timeoutMs.min },
    { ...http, intervalMs: periodMs.max, timeoutMs: timeoutMs.max },
    { kind: "ttl", ttlMs: periodMs.min },
    { kind: "ttl", ttlMs: periodMs.max },
  ])("takes %j", (check) => {
    expect(parseCheck(JSON.stringify(check))).toEqual(check);
  });

  test.each([
    { ...http, intervalMs: periodMs.min - 1 },
    { ...http, intervalMs: periodMs.max + 1 },
    { ...http, timeoutMs: timeoutMs.min - 1 },
    { ...http, timeoutMs: timeoutMs.max + 1 },
    { kind: "ttl", ttlMs: periodMs.min - 1 },
    { kind: "ttl", ttlMs: periodMs.max + 1 },
    { kind: "ttl", ttlMs: "1000" },
    { kind: "tcp" },
    { kind: "http" },
    null,
    1,
  ])("refuses %j", (check) => {
    expect(parseCheck(JSON.stringify(check))).toContain("its ");
  });

  test("refuses what is no JSON", () => {
    expect(parseCheck("{")).toContain("JSON");
  });
});

test("parseHealth() takes states it knows, and nothing else", () => {
  expect(parseHealth('{"state":"warning","note":"slow"}')).toEqual({ state: "warning", note: "slow" });
  expect(parseHealth('{"state":"passing"}')).toEqual({ state: "passing", note: "" });
  for (const text of [undefined, "", "{", "null", "1", '{"state":"fine"}']) {
    expect(parseHealth(text)).toBeUndefined();
  }
});

test.each([
  ["passing", 0, "passing"],
  ["critical", 0, "passing"],
  [undefined, 0, "passing"],
  ["passing", 1, "warning"],
  ["warning", 2, "warning"],
  ["warning", 3, "critical"],
  ["critical", 1, "critical"],
  [undefined, 1, "critical"],
] as const)("stateAfter(%s, %i failures, 3) is %s", (before, failures, after) => {
  expect(stateAfter(before, failures, 3)).toBe(after);
});
