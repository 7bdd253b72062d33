/**
 * The commands of the README do what it says: each is run as it would be pasted, against an ensemble that
 * was just started. Only the port differs.
 *
 * @module
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalEnsemble, startLocal } from "../../src/local/index.ts";

const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");

/** The one thing these commands need beyond npm. */
const hasCurl = spawnSync("curl", ["--version"]).status === 0;

const data = mkdtempSync(join(tmpdir(), "edgekeeper-readme-"));
let ensemble: LocalEnsemble;

beforeAll(async () => {
  ensemble = await startLocal({
    host: "127.0.0.1",
    port: 0,
    zkPort: 0,
    data,
    vars: { EK_OPEN_ON_LOOPBACK: "on" },
    log: () => undefined,
  });
});

afterAll(async () => {
  await ensemble.close();
  rmSync(data, { recursive: true });
});

/** The commands of the shell block whose first line begins with this comment. */
function commandsUnder(comment: string): string {
  const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  const found = blocks.find((block) => block.startsWith(`# ${comment}`));
  if (found === undefined) throw new Error(`the README has no commands under "${comment}"`);
  return found;
}

/** Runs a block in one shell and answers what it printed. */
function paste(commands: string): string {
  const here = commands.replaceAll(":8787/", `:${ensemble.port}/`);
  expect(here).not.toBe(commands);
  return execFileSync("bash", ["-euo", "pipefail", "-c", here], { encoding: "utf8", stdio: "pipe" });
}

test.skipIf(!hasCurl)("a znode is created, read, set at its version and not set at an old one", () => {
  const output = paste(commandsUnder("Create a znode"));
  expect([...output.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(["201", "200", "412"]);
  expect(output).toContain("}blue"); // Right behind the first answer: the value as it was read.
});

test.skipIf(!hasCurl)("a lock excludes a second one, shows its holder and is released", () => {
  // JSON objects, some of them with a newline behind.
  const [granted, held, shown, ...more] = paste(commandsUnder("Take a lock")).split(/(?<=\})\n*(?=\{)/);
  const { token } = JSON.parse(granted ?? "");
  expect(token).toMatch(/^0x/);
  expect(JSON.parse(held ?? "")).toMatchObject({ status: 409, holders: [{ token }] });
  expect(JSON.parse(shown ?? "")).toMatchObject({ holders: [{ token }], queue: [] });
  expect(more).toEqual([]);
});

test.skipIf(!hasCurl)("the members tell who leads", () => {
  const { leader, members } = JSON.parse(paste(commandsUnder("Who leads")));
  expect(members).toHaveLength(3);
  expect(members[leader - 1]).toMatchObject({ role: "leading", serving: true });
});
