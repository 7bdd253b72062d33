/**
 * The house rules hold: which room may import which, what pure rooms may name, where SQL may stand, and
 * that every file is clean text with a head.
 *
 * First each rule is shown to fail on a small bad file and to pass on its good neighbour; then all of them
 * run over the repository. A failure prints `file:line: what, use instead`.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";
import {
  anchorFaults,
  cycleFaults,
  type Fault,
  faultsOfFile,
  importsOf,
  largeFiles,
  lockFaults,
  referenceFaults,
  type SourceFile,
} from "./tidy/rules.ts";
import { scan } from "./tidy/scan.ts";

const head = "/**\n * Decides x.\n *\n * @module\n */\n";

function print({ file, line, message }: Fault): string {
  return `${file}:${line}: ${message}`;
}

/** What the rules say about a file with a proper head and this body; the body begins on line 6. */
function judge(path: string, body: string): string[] {
  return faultsOfFile({ path, text: `${head}${body}\n` }).map(print);
}

describe("scan()", () => {
  test.each([
    ["a line comment", "a; // b\nc", "a;     \nc"],
    ["a block comment over two lines", "a /* b\nb */ c", "a     \n     c"],
    ["a string, quotes kept", 'f("await x")', 'f("       ")'],
    ["an escaped quote", "f('a\\'b'); c", "f('    '); c"],
    ["a comment's opening inside a string", 'f("//"); c', 'f("  "); c'],
    ["a template with code inside", "`a${b + `c${d}`}e` + f", "` ${b + ` ${d}`} ` + f"],
    ["an object inside a template", "`${f({ a: 1 })} b`", "`${f({ a: 1 })}  `"],
    ["a regular expression with a quote", 'x = /["/]/g; y', "x = /    /g; y"],
    ["a regular expression after return", "return /a'/.test(b)", "return /  /.test(b)"],
    ["a division", "a / b / c", "a / b / c"],
    ["a division after a bracket", "(a) / 'b' / 2", "(a) / ' ' / 2"],
  ])("blanks %s", (_name, source, code) => {
    expect(scan(source).code).toBe(code);
  });

  test("says on which line a string and a comment stand", () => {
    const { strings, comments } = scan('a\n"b"\n/* c\n */ // d');
    expect(strings.map(({ line, text }) => [line, text])).toEqual([[2, "b"]]);
    expect(comments.map(({ line }) => line)).toEqual([3, 4]);
  });

  test("finds static, side-effect, dynamic and re-exporting imports, and nothing else", () => {
    const text = [
      'import a from "./a.ts";',
      'import {\n  b,\n} from "./b.ts";',
      'import "./c.ts";',
      'const d = await import("./d.ts");',
      'export type * from "./e.ts";',
      'Array.from("./f.ts"); // import "./g.ts"',
      'const h = "import \\"./h.ts\\"";',
    ].join("\n");
    expect(importsOf(text).map(({ specifier }) => specifier)).toEqual([
      "./a.ts",
      "./b.ts",
      "./c.ts",
      "./d.ts",
      "./e.ts",
    ]);
  });
});

describe("a rule fails on", () => {
  test.each([
    [
      "an arrow against the grain",
      "src/zab/x.ts",
      'import { a } from "../tree/index.ts";',
      "6: zab imports tree, it may use base",
    ],
    [
      "base importing a room",
      "src/base/x.ts",
      'import { a } from "../zab/index.ts";',
      "6: base imports zab, it may use no other room",
    ],
    [
      "a type import against the grain",
      "src/tree/x.ts",
      'import type { A } from "../objects/index.ts";',
      "tree imports objects",
    ],
    [
      "a room entered past its door",
      "src/zab/x.ts",
      'import { a } from "../base/zxid.ts";',
      "use the door base/index.ts",
    ],
    ["a room using its own door", "src/zab/x.ts", 'import { a } from "./index.ts";', "imports its own door"],
    ["a missing extension", "src/zab/x.ts", 'import { a } from "./peer";', "with .ts"],
    [
      "src importing test",
      "src/zab/x.ts",
      'import { a } from "../../test/support/a.ts";',
      "move what src needs into src",
    ],
    [
      "a package in a pure room",
      "src/jute/x.ts",
      'import { Buffer } from "node:buffer";',
      'jute imports "node:buffer", it may use no package',
    ],
    [
      "a package of another room",
      "src/objects/x.ts",
      'import { Hono } from "hono";',
      'objects imports "hono"',
    ],
    ["a file in no room", "src/misc/x.ts", "", "1: not in a known room"],
    ["a clock in a pure room", "src/zab/x.ts", "const now = Date.now();", "6: `Date` in a pure room"],
    [
      "randomness in a pure room",
      "src/tree/x.ts",
      "const n = Math.random();",
      "`Math.random` in a pure room",
    ],
    ["waiting in a pure room", "src/jute/x.ts", "export async function f() {}", "`async` in a pure room"],
    [
      "logging inside a template",
      "src/base/x.ts",
      "const s = `${console.log(1)}`;",
      "`console` in a pure room",
    ],
    ["any", "src/worker/x.ts", "const a: any = 1;", "`any`, use `unknown`"],
    ["a non-null assertion", "test/x.test.ts", "f(a[0]!.b);", "non-null `!`, use assert()"],
    ["a silenced type error", "src/worker/x.ts", "// @ts-expect-error\nf(1);", "6: `@ts-expect-error`"],
    ["a silenced type error in a test", "test/x.test.ts", "// @ts-ignore\nf(1);", "`@ts-ignore`"],
    [
      "SQL away from the tables",
      "src/objects/member.ts",
      'exec("SELECT a FROM b");',
      "6: SQL, use a named statement",
    ],
    [
      "SQL in a template over lines",
      "src/objects/member.ts",
      "exec(`\n  DELETE FROM log`);",
      "SQL, use a named statement",
    ],
    ["a trailing space", "docs/a.md", "a \nb", "6: trailing space"],
    ["a tab", "src/base/x.ts", "\tf();", "6: tab, use spaces"],
    ["a carriage return", "src/base/x.ts", "f();\r\ng();", "6: carriage return"],
    ["a path of one machine", "docs/a.md", `cd ${["", "home", "me"].join("/")}`, "6: a path of one machine"],
    ["a file that is too long", "src/base/x.ts", "\n".repeat(500), "506 lines, look for the second idea"],
  ])("%s", (_name, path, body, expected) => {
    expect(judge(path, body).join("\n")).toContain(expected);
  });

  test("a file without a head, and a head that is not the first thing", () => {
    const bare = faultsOfFile({ path: "src/base/x.ts", text: "export const a = 1;\n" }).map(print);
    expect(bare.join("\n")).toContain("src/base/x.ts:1: no head comment");
    const late = faultsOfFile({ path: "src/base/x.ts", text: `\n${head}` }).map(print);
    expect(late.join("\n")).toContain("no head comment");
  });

  test("a missing last newline", () => {
    expect(faultsOfFile({ path: "docs/a.md", text: "a" }).map(print)).toEqual([
      "docs/a.md:1: no newline at the end, add one",
    ]);
  });

  test("two files that import each other, told once and by a path", () => {
    const a = { path: "src/zab/a.ts", text: 'import { type A, b } from "./b.ts";\n' };
    const b = { path: "src/zab/b.ts", text: '\nimport { a } from "./a.ts";\n' };
    const c = { path: "src/zab/c.ts", text: 'import "./a.ts";\nimport "./b.ts";\n' };
    expect(cycleFaults([c, a, b]).map(print)).toEqual([
      "src/zab/b.ts:2: imports in a circle (src/zab/a.ts -> src/zab/b.ts -> src/zab/a.ts), move what both need to a third file",
    ]);
    expect(cycleFaults([c, a])).toEqual([]);
    const types = 'import type { B } from "./b.ts";\nimport {\n  type C,\n  type D,\n} from "./b.ts";\n';
    expect(cycleFaults([c, { path: "src/zab/a.ts", text: types }, b])).toEqual([]);
  });

  test("a document that links to a heading which is not there", () => {
    const page = { path: "docs/a.md", text: "# A\n\n## `b-c`, and [d](e.md)!\n\n```sh\n# f\n```\n" };
    const told = (text: string) => anchorFaults([page, { path: "docs/b.md", text }]).map(print);
    expect(told("# B\n\n[x](a.md#b-c-and-d) [y](#b) [z](https://c.example/#q)\n")).toEqual([]);
    expect(told("\n[x](a.md#f)\n")).toEqual([
      "docs/b.md:2: links to #f, which is no heading of docs/a.md: name one",
    ]);
    expect(told("[x](#b-c-and-d)\n")).toHaveLength(1);
  });

  test("a document or a head that names a file which is not there", () => {
    const exists = (path: string) => path === "src/zab/link.ts" || path === "docs/a.md";
    const told = (path: string, text: string) => referenceFaults({ path, text }, exists).map(print);
    expect(told("docs/b.md", "See `src/zab/lnk.ts`\n")).toEqual([
      "docs/b.md:1: names src/zab/lnk.ts, which is not there: name what replaced it",
    ]);
    expect(told("docs/b.md", "\n[a](internals/a.md#x)\n")).toHaveLength(1);
    expect(told("src/zab/x.ts", "// See docs/b.md\n")).toHaveLength(1);
    expect(told("docs/b.md", "`src/zab/link.ts` [a](a.md#x) [c](https://c.example/d)\n")).toEqual([]);
    expect(told("src/zab/x.ts", "// See docs/a.md\n")).toEqual([]);
  });

  test("a lock file that names a registry", () => {
    const lock = (entry: string) => ({
      path: "package-lock.json",
      text: `{ "packages": { "node_modules/a": ${entry} } }\n`,
    });
    expect(lockFaults(lock('{ "resolved": "https://mirror.example/a.tgz" }')).map(print)).toHaveLength(1);
    expect(lockFaults(lock('{ "version": "1.0.0" }'))).toEqual([]);
  });

  test("a lock file without the packages of other platforms", () => {
    const lock = (...locked: string[]) => {
      const packages = { "node_modules/a/node_modules/b": { optionalDependencies: { "b-darwin": "1.0.0" } } };
      const all = { ...packages, ...Object.fromEntries(locked.map((path) => [path, {}])) };
      return { path: "package-lock.json", text: JSON.stringify({ packages: all }) };
    };
    expect(lockFaults(lock()).map(print).join()).toContain(
      "b-darwin, which node_modules/a/node_modules/b wants",
    );
    expect(lockFaults(lock("node_modules/a/node_modules/b-darwin"))).toEqual([]);
    expect(lockFaults(lock("node_modules/b-darwin"))).toEqual([]);
  });
});

test.each([
  ["a door of an allowed room", "src/objects/x.ts", 'import { step } from "../zab/index.ts";'],
  ["a file of the own room", "src/zab/x.ts", 'import { a } from "./quorum.ts";'],
  [
    "a package's own path",
    "src/worker/x.ts",
    'import { a } from "hono/bearer-auth";\nimport b from "cloudflare:workers";',
  ],
  [
    "impure words in strings, comments and members",
    "src/tree/x.ts",
    '// await Date\nconst a = "fetch"; b.process(a);',
  ],
  ["any as a word and as a key", "src/jute/x.ts", 'f("any", { any: 1 }); // any\nPromises.any(2);'],
  ["exclamation marks that negate", "src/zab/x.ts", "if (a !== b && !c) f(!d);"],
  ["a clock in the shell", "src/objects/x.ts", "const now = Date.now();"],
  ["SQL in its own file", "src/objects/sql/log.ts", 'const read = "SELECT a FROM b";'],
  [
    "words that only look like SQL",
    "src/worker/x.ts",
    'const a = "Cannot delete from here, select another";',
  ],
  ["an expected type error in a test", "test/x.test.ts", "// @ts-expect-error: a number is refused\nf(1);"],
])("the rules pass %s", (_name, path, body) => {
  expect(judge(path, body)).toEqual([]);
});

const root = join(import.meta.dirname, "..");

/** Text of ours: what is written by hand, in the folders and at the top. */
function repositoryFiles(): SourceFile[] {
  const folders = ["src", "test", "scripts", "bench", "docs", ".ci"];
  const paths = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:ts|md|json|toml)$/.test(entry.name))
    .map((entry) => join(root, entry.name));
  for (const folder of folders) {
    let entries: ReturnType<typeof readFolder> = [];
    try {
      entries = readFolder(join(root, folder));
    } catch {
      continue; // Not every checkout has every folder.
    }
    paths.push(...entries);
  }
  return paths.map((path) => ({
    path: relative(root, path).split(sep).join("/"),
    text: readFileSync(path, "utf8"),
  }));
}

function readFolder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && (/\.(?:ts|md|json)$/.test(entry.name) || entry.name === "run"))
    .map((entry) => join(entry.parentPath, entry.name));
}

function isThere(path: string): boolean {
  return existsSync(join(root, path));
}

/** This file and its rules name files that are not there, on purpose. */
function isOwnProse({ path }: SourceFile): boolean {
  return !path.startsWith("test/tidy");
}

describe("the repository", () => {
  const files = repositoryFiles();
  const sources = files.filter(({ path }) => path.endsWith(".ts"));

  test("has files to judge", () => {
    expect(sources.length).toBeGreaterThan(10);
  });

  test("keeps the rules", () => {
    const faults = [
      ...files.filter(({ path }) => path !== "package-lock.json").flatMap(faultsOfFile),
      ...cycleFaults(sources),
      ...files.filter(isOwnProse).flatMap((file) => referenceFaults(file, isThere)),
      ...anchorFaults(files),
      ...files.filter(({ path }) => path === "package-lock.json").flatMap(lockFaults),
    ];
    if (faults.length > 0) expect.fail(`\n${faults.map(print).join("\n")}\n`);
  });

  test("names no large file that is gone", () => {
    const paths = new Set(files.map(({ path }) => path));
    expect(Object.keys(largeFiles).filter((path) => !paths.has(path))).toEqual([]);
  });
});
