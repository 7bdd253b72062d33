/**
 * The flags of `npm start`: every one of them, where they may come from, and what stops the start.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { settingSpecs } from "../../src/base/index.ts";
import { parseFlags, type StartOptions } from "../../src/local/flags.ts";

function start(args: readonly string[], environment: Record<string, string> = {}): StartOptions {
  const parsed = parseFlags(args, environment);
  if (parsed.kind !== "start") throw new Error(`not a start: ${JSON.stringify(parsed)}`);
  return parsed.options;
}

function faults(args: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const parsed = parseFlags(args, environment);
  return parsed.kind === "faults" ? parsed.faults : [];
}

test("no flags: the documented defaults, open on loopback", () => {
  const { settings, ...rest } = start([]);
  expect(rest).toEqual({
    host: "127.0.0.1",
    port: 8787,
    zkPort: 2181,
    zkMember: "leader",
    zkClientsShowToken: true,
    data: ".edgekeeper",
    vars: { EK_OPEN_ON_LOOPBACK: "on" },
  });
  expect(settings.members).toBe(3);
  expect(settings.openOnLoopback).toBe(true);
});

test("every fixed flag, separate or with an equals sign", () => {
  const separate = "--port 0 --zk-port 0 --members 5 --data x/y --host localhost".split(" ");
  const joined = "--port=0 --zk-port=0 --members=5 --data=x/y --host=localhost".split(" ");
  expect(start(separate)).toEqual(start(joined));
  expect(start(separate)).toMatchObject({ host: "localhost", port: 0, zkPort: 0, data: "x/y" });
  expect(start(separate).settings.members).toBe(5);
});

test.each(["leader", "nearest", "1", "4"])(
  "--zk-member %s, with three voters and an observer",
  (zkMember) => {
    expect(start(["--observers", "1", "--zk-member", zkMember])).toMatchObject({ zkMember });
  },
);

test("every setting is a flag and an environment variable", () => {
  const values: Readonly<Record<string, string>> = {
    EK_TICK_MS: "500",
    EK_SUPER_DIGEST: `super:${"A".repeat(27)}=`,
    EK_TTL_NODES: "off",
    EK_ENFORCE_QUOTA: "on",
    EK_ENFORCE_AUTH_SCHEMES: "digest",
    EK_THROTTLED_OP_WAIT_MS: "250",
    EK_X509: "on",
    EK_RECONFIG: "off",
    EK_MAX_CONNECTIONS_PER_ADDRESS: "7",
    EK_FOUR_LETTER_WORDS: "srvr,ruok",
    EK_TOKEN: "hush",
    EK_OPEN_ON_LOOPBACK: "off",
    EK_ENSEMBLES: "main,other",
    EK_MEMBERS: "1",
    EK_OBSERVERS: "2",
  };
  expect(Object.keys(values).sort()).toEqual(settingSpecs.map(({ name }) => name).sort());
  const args = settingSpecs.flatMap(({ name, flag }) => [`--${flag}`, values[name] ?? ""]);
  expect(start(args).vars).toEqual(values);
  expect(start([], values).vars).toEqual(values);
});

test("a flag beats the environment, and only EK_ variables are looked at", () => {
  const { vars } = start(["--tick-ms", "300"], { EK_TICK_MS: "400", HOME: "x", TICK_MS: "1" });
  expect(vars).toEqual({ EK_TICK_MS: "300", EK_OPEN_ON_LOOPBACK: "on" });
});

test("with a token loopback is not opened, and any host will do", () => {
  expect(start(["--token", "hush"]).vars).toEqual({ EK_TOKEN: "hush" });
  expect(start(["--host", "0.0.0.0"], { EK_TOKEN: "hush" }).settings.openOnLoopback).toBe(false);
});

test("--help lists every flag with its default", () => {
  const parsed = parseFlags(["--help"], {});
  const text = parsed.kind === "help" ? parsed.text : "";
  const flags = ["host", "port", "zk-port", "zk-member", "data", ...settingSpecs.map(({ flag }) => flag)];
  for (const flag of flags) expect(text).toContain(`--${flag} `);
  expect(text).toContain("(8787)");
});

describe("the start stops at", () => {
  test.each([
    ["an unknown flag", ["--prot", "1"], "--prot"],
    ["a stray argument", ["8787"], "8787"],
    ["a flag without its value", ["--port"], "--port"],
    ["a port that is no number", ["--port", "http"], '--port is "http"'],
    ["a port of 65536", ["--zk-port", "65536"], '--zk-port is "65536"'],
    ["a negative port", ["--port=-1"], '--port is "-1"'],
    ["one port for both", ["--port", "2181"], "they must differ"],
    ["an empty host", ["--host", ""], "--host is empty"],
    ["an empty directory", ["--data", ""], "--data is empty"],
    ["no members", ["--members", "0"], '--members (EK_MEMBERS) is "0"'],
    ["a member that is not there", ["--zk-member", "4"], '--zk-member is "4": it must be leader, nearest or'],
    ["a member that is none", ["--zk-member", "follower"], '--zk-member is "follower"'],
    ["a malformed setting", ["--tick-ms", "2s"], '--tick-ms (EK_TICK_MS) is "2s"'],
    ["a host others can reach, without a token", ["--host", "0.0.0.0"], "set EK_TOKEN"],
    ["an address that is loopback to us but not to the Worker", ["--host", "127.0.0.2"], "set EK_TOKEN"],
    ["loopback closed, without a token", ["--open-on-loopback", "off"], "nobody could use"],
  ])("%s", (_name, args, part) => {
    expect(faults(args).join("\n")).toContain(part);
  });

  test("a misspelt variable", () => {
    expect(faults([], { EK_TIK_MS: "1" }).join("\n")).toContain("EK_TIK_MS is not a setting");
  });

  test("a malformed token, without repeating it", () => {
    const said = faults(["--token", "se cret"]).join("\n");
    expect(said).toContain("--token");
    expect(said).not.toContain("se cret");
  });

  test("several faults, all of them told", () => {
    expect(faults(["--port", "x", "--tick-ms", "1", "--ttl-nodes", "maybe"]).length).toBe(3);
  });
});
