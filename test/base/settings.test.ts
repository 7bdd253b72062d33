/**
 * Proves how settings are read: defaults, every range at and one past its edge, and faults that name the
 * setting, its value and what is allowed, but never a secret.
 */

import { describe, expect, test } from "vitest";
import { parseSettings, type Settings, settingSpecs } from "../../src/base/index.ts";

const defaults: Settings = {
  tickMs: 2_000,
  superDigest: undefined,
  ttlNodes: true,
  enforceQuota: false,
  x509: false,
  enforceAuthSchemes: [],
  reconfig: true,
  maxConnectionsPerAddress: 0,
  throttledOpWaitMs: 0,
  fourLetterWords: "*",
  token: undefined,
  openOnLoopback: false,
  ensembles: ["main"],
  members: 3,
  observers: 0,
};

function faultsOf(vars: Record<string, unknown>): readonly string[] {
  const parsed = parseSettings(vars);
  return parsed.ok ? [] : parsed.faults;
}

describe("parseSettings()", () => {
  test("parseSettings() of nothing answers the defaults", () => {
    expect(parseSettings({})).toEqual({ ok: true, settings: defaults });
  });

  test("parseSettings() answers the same for the defaults spelt out", () => {
    const spelt = settingSpecs.map((spec) => [spec.name, spec.default]);
    expect(parseSettings(Object.fromEntries(spelt))).toEqual({ ok: true, settings: defaults });
  });

  test("parseSettings() ignores what is not EK_", () => {
    expect(faultsOf({ MEMBER: {}, PATH: "/bin", ek_token: "x" })).toEqual([]);
  });

  const digest = `super:${"A".repeat(27)}=`;
  test.each([
    ["EK_TICK_MS", "100", { tickMs: 100 }],
    ["EK_TICK_MS", 60_000, { tickMs: 60_000 }],
    ["EK_ENFORCE_AUTH_SCHEMES", "x509, digest", { enforceAuthSchemes: ["digest", "x509"] }],
    ["EK_ENFORCE_AUTH_SCHEMES", "bearer", { enforceAuthSchemes: ["bearer"] }],
    ["EK_X509", "on", { x509: true }],
    ["EK_SUPER_DIGEST", digest, { superDigest: digest }],
    ["EK_TTL_NODES", "off", { ttlNodes: false }],
    ["EK_RECONFIG", "off", { reconfig: false }],
    ["EK_MAX_CONNECTIONS_PER_ADDRESS", "60", { maxConnectionsPerAddress: 60 }],
    ["EK_FOUR_LETTER_WORDS", "ruok, stat", { fourLetterWords: ["ruok", "stat"] }],
    ["EK_TOKEN", "s3cret!", { token: "s3cret!" }],
    ["EK_OPEN_ON_LOOPBACK", "on", { openOnLoopback: true }],
    ["EK_ENSEMBLES", "main,a-1", { ensembles: ["main", "a-1"] }],
    ["EK_ENSEMBLES", "a".repeat(63), { ensembles: ["a".repeat(63)] }],
    ["EK_MEMBERS", "1", { members: 1 }],
    ["EK_MEMBERS", "7", { members: 7 }],
    ["EK_OBSERVERS", "0", { observers: 0 }],
    ["EK_OBSERVERS", "8", { observers: 8 }],
  ])("parseSettings() reads %s=%s", (name, value, expected) => {
    expect(parseSettings({ [name]: value })).toEqual({ ok: true, settings: { ...defaults, ...expected } });
  });

  test.each([
    ["EK_TICK_MS", "99"],
    ["EK_TICK_MS", "60001"],
    ["EK_TICK_MS", "2s"],
    ["EK_TICK_MS", "1e3"],
    ["EK_TICK_MS", ""],
    ["EK_TICK_MS", null],
    ["EK_TTL_NODES", "yes"],
    ["EK_TTL_NODES", true],
    ["EK_RECONFIG", "ON"],
    ["EK_MAX_CONNECTIONS_PER_ADDRESS", "-1"],
    ["EK_FOUR_LETTER_WORDS", "ruok,"],
    ["EK_FOUR_LETTER_WORDS", "ruok,ruok"],
    ["EK_OPEN_ON_LOOPBACK", "1"],
    ["EK_ENSEMBLES", ""],
    ["EK_ENSEMBLES", "Main"],
    ["EK_ENSEMBLES", "-a"],
    ["EK_ENSEMBLES", "a/b"],
    ["EK_ENSEMBLES", "a".repeat(64)],
    ["EK_ENSEMBLES", "a,a"],
    ["EK_ENSEMBLES", Array.from({ length: 101 }, (_, index) => `e${index}`).join(",")],
    ["EK_MEMBERS", "0"],
    ["EK_MEMBERS", "8"],
    ["EK_OBSERVERS", "-1"],
    ["EK_OBSERVERS", "9"],
  ])("parseSettings() refuses %s=%s in a full sentence", (name, value) => {
    const faults = faultsOf({ [name]: value });
    const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : String(value);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`${name} is ${shown}: it must be `);
    expect(faults[0]).toMatch(/\.$/);
  });

  test.each([
    ["EK_TOKEN", "two words"],
    ["EK_TOKEN", "sécret"],
    ["EK_SUPER_DIGEST", "super:plain-password"],
  ])("parseSettings() refuses %s without repeating it", (name, value) => {
    const [fault] = faultsOf({ [name]: value });
    expect(fault).toContain(name);
    expect(fault).not.toContain(value);
  });

  test("parseSettings() refuses an empty token, which would let everybody in or nobody", () => {
    expect(faultsOf({ EK_TOKEN: "" })).toHaveLength(1);
  });

  test("parseSettings() names an unknown setting and the known ones", () => {
    const [fault] = faultsOf({ EK_TOKENS: "x" });
    expect(fault).toMatch(/^EK_TOKENS is not a setting: the settings are EK_TICK_MS, .*EK_OBSERVERS\.$/);
    expect(fault).not.toContain('"x"');
  });

  test("parseSettings() names every fault at once", () => {
    expect(faultsOf({ EK_MEMBERS: "0", EK_TICK_MS: "x", EK_X: "" })).toHaveLength(3);
  });
});

describe("settingSpecs", () => {
  test("settingSpecs has a flag in kebab case and a help text for every setting", () => {
    expect(settingSpecs.map((spec) => spec.flag)).toEqual([
      "tick-ms",
      "super-digest",
      "ttl-nodes",
      "enforce-quota",
      "x509",
      "enforce-auth-schemes",
      "reconfig",
      "max-connections-per-address",
      "throttled-op-wait-ms",
      "four-letter-words",
      "token",
      "open-on-loopback",
      "ensembles",
      "members",
      "observers",
    ]);
    for (const spec of settingSpecs) expect(spec.help).not.toBe("");
  });
});
