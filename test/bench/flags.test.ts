/**
 * The flags of `npm run bench`: what they mean, and what is refused.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { type BenchOptions, parseBenchFlags } from "../../bench/flags.ts";

function optionsOf(...args: string[]): BenchOptions {
  const parsed = parseBenchFlags(args);
  if (parsed.kind !== "run") throw new Error(`not a run: ${JSON.stringify(parsed)}`);
  return parsed.options;
}

describe("parseBenchFlags()", () => {
  test("without flags: everything, five times, against a ZooKeeper of our own", () => {
    expect(optionsOf()).toEqual({
      json: false,
      zookeeper: undefined,
      members: 3,
      quick: false,
      only: undefined,
      repeats: 5,
      save: undefined,
    });
  });

  test("--quick repeats once unless told otherwise", () => {
    expect(optionsOf("--quick").repeats).toBe(1);
    expect(optionsOf("--quick", "--repeats", "3").repeats).toBe(3);
  });

  test("--zookeeper takes several addresses, names and IPv6 among them", () => {
    expect(optionsOf("--zookeeper", "a.example:2181,[::1]:2182").zookeeper).toEqual([
      { host: "a.example", port: 2181 },
      { host: "::1", port: 2182 },
    ]);
  });

  test.each([
    [["--members", "0"], "--members takes 1 to 9"],
    [["--members", "10"], "--members takes 1 to 9"],
    [["--repeats", "0"], "--repeats takes 1 to 100"],
    [["--repeats", "101"], "--repeats takes 1 to 100"],
    [["--repeats", "2.5"], "--repeats takes 1 to 100"],
    [["--zookeeper", "localhost"], "--zookeeper takes host:port"],
    [["--zookeeper", "localhost:0"], "--zookeeper takes host:port"],
    [["--zookeeper", "localhost:65536"], "--zookeeper takes host:port"],
    [["--zookeeper", "a:1,"], "--zookeeper takes host:port"],
    [["--save", "../x"], "--save takes a name"],
    [["--fast"], "--fast"],
    [["stray"], "stray"],
  ])("refuses %j", (args, message) => {
    const parsed = parseBenchFlags(args);
    expect(parsed.kind).toBe("fault");
    expect(parsed.kind === "fault" && parsed.message).toContain(message);
  });

  test("--help names every flag", () => {
    const parsed = parseBenchFlags(["--help"]);
    const text = parsed.kind === "help" ? parsed.text : "";
    for (const flag of ["only", "quick", "repeats", "members", "zookeeper", "save", "json"]) {
      expect(text).toContain(`--${flag}`);
    }
  });
});
