/**
 * Proves that the package is what its users need: which files it holds, that it compiles under their settings,
 * and that it runs, on this Node and on a Node 20 where there is one.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeProject, type PackedProject, programTimeoutMs, root, run } from "./project.ts";

let packed: PackedProject;
beforeAll(() => {
  packed = makeProject();
}, programTimeoutMs);
afterAll(() => packed?.remove());

test("holds the built modules, their declarations and what a reader needs, and nothing else", () => {
  const { files } = packed;
  const odd = files.filter((file) => !/^dist\/[\w/-]+(?:\.d\.ts|\.js|\.sh)$/.test(file));
  expect(odd.toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
  const doors = ["client/index", "client/node/index", "recipes/index", "guard/index", "testing/index"];
  for (const door of doors) {
    expect(files).toContain(`dist/${door}.js`);
    expect(files).toContain(`dist/${door}.d.ts`);
  }
  expect(files).toContain("dist/testing/worker.js");
});

describe("compiles", () => {
  test.each([
    ["node16", "node16"],
    ["bundler", "esnext"],
  ])(
    "under moduleResolution %s, without skipLibCheck, and with ES2022 and the DOM alone",
    (resolution, module) => {
      const settings = `tsconfig.${resolution}.json`;
      writeFileSync(
        join(packed.path, settings),
        JSON.stringify({
          compilerOptions: {
            ...{ module, moduleResolution: resolution, target: "ES2022", lib: ["ES2022", "DOM"], types: [] },
            ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true },
          },
          files: ["types.ts"],
        }),
      );
      run(join(root, "node_modules", ".bin", "tsc"), ["-p", settings], packed.path);
    },
  );
});

/** A Node 20 of this machine, beside the one that runs this. */
function findNode20(): string | undefined {
  const folders = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"));
  return folders
    .map((folder) => join(folder, "node"))
    .find((path) => spawnSync(path, ["--version"], { encoding: "utf8" }).stdout?.startsWith("v20."));
}

test("runs: a local ensemble, clients over a WebSocket and over the ZooKeeper port, and a fake", () => {
  const old = findNode20();
  if (old === undefined) console.warn("no Node 20 on this machine: only the present one was tried");
  const nodes = [process.execPath, ...(old === undefined ? [] : [old])];
  const said: readonly (readonly string[])[] = JSON.parse(
    run(process.execPath, ["serve.mjs", ...nodes], packed.path),
  );
  const done = "1 dataChanged NodeExists 2";
  const majors = [process.versions.node.split(".")[0], ...(old === undefined ? [] : ["20"])];
  expect(said).toEqual(
    majors.map((major) => [`target-0-${major} ${done}`, `target-1-${major} ${done}`, `fake ${done}`]),
  );
});

test("a fake needs nothing else, and an ensemble without miniflare says what to install", () => {
  const folder = mkdtempSync(join(tmpdir(), "edgekeeper-alone-"));
  try {
    const ours = join("node_modules", "edgekeeper");
    cpSync(join(packed.path, ours), join(folder, ours), { recursive: true, dereference: true });
    cpSync(join(root, "test", "package", "consumer", "alone.mjs"), join(folder, "alone.mjs"));
    const [text, refused] = JSON.parse(run(process.execPath, ["alone.mjs"], folder));
    expect(text).toBe("1");
    expect(refused).toMatch(/needs the package miniflare, npm install --save-dev miniflare@\d/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
