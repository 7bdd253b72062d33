/**
 * The flags of `npm run gateway`.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { parseGatewayFlags } from "../../src/gateway/flags.ts";

const files: Readonly<Record<string, string>> = { "c.pem": "CERT", "k.pem": "KEY", "ca.pem": "CA" };

function readFile(path: string): string {
  const text = files[path];
  if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
  return text;
}

function parse(args: readonly string[], env: Record<string, string> = {}) {
  return parseGatewayFlags(args, env, readFile);
}

const there = ["--connect", "https://zk.example.workers.dev"];

function options(args: readonly string[], env?: Record<string, string>) {
  const parsed = parse([...there, ...args], env);
  if (parsed.kind !== "start") throw new Error(JSON.stringify(parsed));
  return parsed.options;
}

test("the defaults: this machine only, few words, the token asked of clients", () => {
  expect(options([], { EK_TOKEN: "hush" })).toEqual({
    listenHost: "127.0.0.1",
    listenPort: 2181,
    secure: undefined,
    url: "https://zk.example.workers.dev",
    ensemble: "main",
    member: "leader",
    token: "hush",
    clientsShowToken: true,
    maxConnectionsPerAddress: 60,
    fourLetterWords: ["ruok", "isro", "srvr"],
  });
});

test("clients show no token where there is none, or none is asked for", () => {
  expect(options([]).clientsShowToken).toBe(false);
  expect(options(["--auth", "none"], { EK_TOKEN: "hush" }).clientsShowToken).toBe(false);
});

test("TLS with and without client certificates, and without the plain port", () => {
  const tls = ["--tls-port", "2281", "--tls-cert", "c.pem", "--tls-key", "k.pem"];
  const secure = { listenPort: 2281, certificate: "CERT", key: "KEY", clientCa: undefined };
  expect(options(tls)).toMatchObject({ listenPort: 2181, secure });
  const mutual = options([...tls, "--tls-client-ca", "ca.pem", "--port", "none"]);
  expect(mutual).toMatchObject({ listenPort: undefined, secure: { ...secure, clientCa: "CA" } });
});

test("a path behind the host is not part of where the Worker is, and this machine may be plain", () => {
  const url = (text: string) => {
    const parsed = parse(["--connect", text]);
    return parsed.kind === "start" ? parsed.options.url : undefined;
  };
  expect(url("https://a.example:8443/x?y")).toBe("https://a.example:8443");
  expect(url("http://127.0.0.1:8787")).toBe("http://127.0.0.1:8787");
});

describe("faults", () => {
  test.each<[string, readonly string[], string]>([
    ["no --connect", [], "--connect is missing"],
    ["a token in the clear", ["--connect", "http://a.example"], "it must be https://"],
    ["no URL", ["--connect", "a.example"], "it must be https://"],
    ["a port too high", [...there, "--port", "65536"], "--port"],
    ["an unknown member", [...there, "--member", "follower"], "--member"],
    ["an unknown way to authenticate", [...there, "--auth", "digest"], "--auth"],
    ["an unknown flag", [...there, "--tls"], "--tls"],
    ["no port at all", [...there, "--port", "none"], "--tls-port"],
    ["a certificate without a port", [...there, "--tls-cert", "c.pem"], "--tls-cert needs --tls-port"],
    [
      "a port without a key",
      [...there, "--tls-port", "1", "--tls-cert", "c.pem"],
      "needs --tls-cert and --tls-key",
    ],
    [
      "a file that is not there",
      [...there, "--tls-port", "1", "--tls-cert", "x", "--tls-key", "k.pem"],
      "ENOENT",
    ],
    ["a word nobody knows how to spell", [...there, "--four-letter-words", "status"], "EK_FOUR_LETTER_WORDS"],
  ])("%s", (_name, args, said) => {
    const parsed = parse(args);
    expect(parsed).toMatchObject({ kind: "faults" });
    expect(parsed.kind === "faults" ? parsed.faults.join("\n") : "").toContain(said);
  });

  test("a malformed token is not repeated", () => {
    const parsed = parse(there, { EK_TOKEN: "se cret" });
    expect(JSON.stringify(parsed)).toContain("EK_TOKEN");
    expect(JSON.stringify(parsed)).not.toContain('cret"');
  });
});

test("help names every flag", () => {
  const parsed = parse(["--help"]);
  const text = parsed.kind === "help" ? parsed.text : "";
  for (const flag of ["--connect", "--tls-client-ca", "--auth", "EK_TOKEN"]) expect(text).toContain(flag);
});
