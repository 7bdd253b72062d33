/**
 * The rules of the house, as functions from a file's path and text to what is wrong with it.
 *
 * They work on scanned text, not on types: a rule that needs types belongs to `tsc` or Biome. Each fault
 * names what to do instead. A new rule that meets old code gets a list of exceptions here, and the list
 * only shrinks.
 *
 * @module
 */

import { posix } from "node:path";
import { lineAt, type Scanned, scan } from "./scan.ts";

export interface Fault {
  readonly file: string;
  readonly line: number;
  /** What is wrong, a comma, what to do instead. */
  readonly message: string;
}

/** `path`: relative to the repository, with slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

interface Room {
  /** The other rooms whose doors it may import. */
  readonly rooms: readonly string[];
  /** Everything else it may import: exact names, or prefixes that end in `:` or `/`. */
  readonly packages: readonly string[];
}

/** Who may import whom; `docs/architecture.md` has the picture. */
const rooms: Readonly<Record<string, Room>> = {
  base: { rooms: [], packages: [] },
  zab: { rooms: ["base"], packages: [] },
  tree: { rooms: ["base"], packages: [] },
  jute: { rooms: ["base"], packages: [] },
  objects: { rooms: ["base", "zab", "tree", "jute"], packages: ["cloudflare:", "node:crypto"] },
  worker: { rooms: ["base", "objects"], packages: ["cloudflare:", "hono", "hono/"] },
  client: { rooms: ["base", "jute", "websocket"], packages: ["node:"] },
  recipes: { rooms: ["base", "client"], packages: [] },
  cli: { rooms: ["base", "jute", "client"], packages: ["node:"] },
  websocket: { rooms: [], packages: ["node:"] },
  gateway: { rooms: ["base", "jute", "websocket"], packages: ["node:"] },
  guard: { rooms: [], packages: [] },
  local: { rooms: ["base", "gateway"], packages: ["node:", "miniflare", "esbuild"] },
  testing: { rooms: ["base", "jute", "client", "tree", "objects", "worker", "local"], packages: ["node:"] },
};

/** Rooms that know no clock, randomness, I/O, waiting, logging or platform. */
const pureRooms = ["base", "zab", "tree", "jute"];

const impureNames =
  /(?<![.\w$])(Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|crypto|fetch|console|async|await|Promise|process|globalThis|navigator|WebSocket)(?![\w$])|Math\s*\.\s*random/g;

/** Files past 500 lines, each with the size it may not outgrow. Look for the second idea in them. */
export const largeFiles: Readonly<Record<string, number>> = {};

const linesMax = 500;

/** Where SQL may stand: one file per table family. */
const sqlFiles = /^src\/(?:objects\/(?:sql\/[\w-]+|sql(?:-[\w-]+)?)|guard\/sql)\.ts$/;

const sqlText =
  /\b(?:SELECT\b[\s\S]*\bFROM|INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|(?:CREATE|DROP|ALTER)\s+(?:TABLE|INDEX)|PRAGMA)\b/;

/** Directories of somebody's machine. Tests may use the temporary one through `os.tmpdir()`. */
const machinePath = /(?:^|[\s"'`(=])\/(?:home|root|tmp|Users|work|workspace)\/[\w.]/;

export function faultsOfFile(file: SourceFile): Fault[] {
  const faults: Fault[] = hygieneFaults(file);
  if (!file.path.endsWith(".ts")) return faults;
  const scanned = scan(file.text);
  faults.push(...languageFaults(file, scanned));
  if (!file.path.startsWith("src/")) return faults;
  faults.push(...headFaults(file, scanned), ...sizeFaults(file), ...sqlFaults(file, scanned));
  faults.push(...importFaults(file, scanned), ...purityFaults(file, scanned));
  return faults;
}

/** For every text file: what editors get wrong, and what only exists on one machine. */
function hygieneFaults({ path, text }: SourceFile): Fault[] {
  const faults: Fault[] = [];
  if (text.includes("\r")) {
    faults.push({ file: path, line: lineAt(text, text.indexOf("\r")), message: "carriage return, use LF" });
  }
  if (text !== "" && !text.endsWith("\n")) {
    faults.push({ file: path, line: lineAt(text, text.length), message: "no newline at the end, add one" });
  }
  for (const [index, line] of text.split("\n").entries()) {
    const fault = (message: string) => faults.push({ file: path, line: index + 1, message });
    if (/[ \t]$/.test(line)) fault("trailing space, remove it");
    if (line.includes("\t")) fault("tab, use spaces (in a string: \\t)");
    if (machinePath.test(line)) fault("a path of one machine, use a relative path or os.tmpdir()");
  }
  return faults;
}

function languageFaults({ path, text }: SourceFile, { code, comments }: Scanned): Fault[] {
  const faults: Fault[] = [];
  for (const match of code.matchAll(/(?<![.\w$])any(?![\w$])(?!\s*:)/g)) {
    faults.push({
      file: path,
      line: lineAt(text, match.index),
      message: "`any`, use `unknown` and a parser",
    });
  }
  for (const match of code.matchAll(/[\w$)\]}]!(?!=)/g)) {
    faults.push({
      file: path,
      line: lineAt(text, match.index),
      message: "non-null `!`, use assert() or a default",
    });
  }
  for (const comment of comments) {
    const told = comment.text.match(/@ts-(?:ignore|nocheck|expect-error)/)?.[0];
    if (told === undefined || (told === "@ts-expect-error" && path.startsWith("test/"))) continue;
    faults.push({ file: path, line: comment.line, message: `\`${told}\`, use a type that fits` });
  }
  return faults;
}

function headFaults({ path, text }: SourceFile, { comments }: Scanned): Fault[] {
  const head = comments[0];
  if (text.startsWith("/**") && head?.offset === 0 && head.text.includes("@module")) return [];
  return [
    { file: path, line: 1, message: "no head comment, begin with /** what the file decides ... @module */" },
  ];
}

function sizeFaults({ path, text }: SourceFile): Fault[] {
  const lines = text.split("\n").length - 1;
  const limit = largeFiles[path];
  if (limit === undefined && lines > linesMax) {
    const message = `${lines} lines, look for the second idea (or add the file to largeFiles and say why)`;
    return [{ file: path, line: linesMax, message }];
  }
  if (limit !== undefined && lines > limit) {
    return [
      { file: path, line: limit, message: `${lines} lines where largeFiles allows ${limit}, split it` },
    ];
  }
  if (limit !== undefined && lines <= linesMax) {
    return [{ file: path, line: 1, message: "no longer a large file, remove it from largeFiles" }];
  }
  return [];
}

function sqlFaults({ path }: SourceFile, { strings }: Scanned): Fault[] {
  if (sqlFiles.test(path)) return [];
  return strings
    .filter((string) => sqlText.test(string.text))
    .map(({ line }) => ({ file: path, line, message: "SQL, use a named statement in src/objects/sql/" }));
}

interface Import {
  readonly line: number;
  readonly specifier: string;
  /** Brings types only. */
  readonly isType: boolean;
}

/** Static and dynamic imports, and re-exports, types included. */
export function importsOf(text: string, { code, strings }: Scanned = scan(text)): Import[] {
  const byOffset = new Map(strings.map((string) => [string.offset, string]));
  const found: Import[] = [];
  for (const match of code.matchAll(/(?<![.\w$])(?:from|import)\s*\(?\s*["'`]/g)) {
    const string = byOffset.get(match.index + match[0].length - 1);
    if (string === undefined) continue;
    const start = Math.max(code.lastIndexOf("import", match.index), code.lastIndexOf("export", match.index));
    const isType = isTypeClause(code.slice(start + "import".length, match.index).trim());
    found.push({ line: string.line, specifier: string.text, isType });
  }
  return found;
}

/** What stands between `import` and `from`: `type { A }`, or `{ type A, type B }`. */
function isTypeClause(clause: string): boolean {
  if (/^type\s+[\w{*]/.test(clause)) return true;
  const names = /^\{(.*)\}$/s.exec(clause)?.[1]?.split(",") ?? [];
  const present = names.map((name) => name.trim()).filter((name) => name !== "");
  return present.length > 0 && present.every((name) => /^type\s+\w/.test(name));
}

function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function importFaults(file: SourceFile, scanned: Scanned): Fault[] {
  const name = roomOf(file.path);
  const room = name === undefined ? undefined : rooms[name];
  if (name === undefined || room === undefined) {
    const message = "not in a known room, move it into one or add the room to test/tidy/rules.ts";
    return [{ file: file.path, line: 1, message }];
  }
  return importsOf(file.text, scanned).flatMap(({ line, specifier }) => {
    const message = specifier.startsWith(".")
      ? fileImportFault(file.path, name, room, specifier)
      : packageImportFault(name, room, specifier);
    return message === undefined ? [] : [{ file: file.path, line, message }];
  });
}

function fileImportFault(path: string, name: string, room: Room, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(path), specifier);
  if (target.startsWith("test/")) return `imports ${target}, move what src needs into src`;
  if (!/\.(?:ts|json)$/.test(target)) return `imports "${specifier}", write the file's full name with .ts`;
  const other = roomOf(target);
  if (other === name) {
    // The door for those on Node gives what the first one gives, and more.
    const isDoor = path === `src/${name}/node/index.ts`;
    return target === `src/${name}/index.ts` && !isDoor
      ? "imports its own door, import the file itself"
      : undefined;
  }
  if (other === undefined) return target.endsWith(".json") ? undefined : `imports ${target}, stay inside src`;
  if (!room.rooms.includes(other)) {
    const allowed = room.rooms.length === 0 ? "no other room" : room.rooms.join(", ");
    return `${name} imports ${other}, it may use ${allowed}: pass what is needed as an argument`;
  }
  // A room may have one more door: for those on Node, or for those without the platform.
  const doors = ["", "node/", "portable/"].map((folder) => `src/${other}/${folder}index.ts`);
  return doors.includes(target) ? undefined : `imports ${target}, use the door ${other}/index.ts`;
}

function packageImportFault(name: string, room: Room, specifier: string): string | undefined {
  const allowed = room.packages.some((known) =>
    /[:/]$/.test(known) ? specifier.startsWith(known) : specifier === known,
  );
  if (allowed) return undefined;
  const list = room.packages.length === 0 ? "no package" : room.packages.join(", ");
  return `${name} imports "${specifier}", it may use ${list}`;
}

function purityFaults({ path, text }: SourceFile, { code }: Scanned): Fault[] {
  if (!pureRooms.includes(roomOf(path) ?? "")) return [];
  return [...code.matchAll(impureNames)].map((match) => ({
    file: path,
    line: lineAt(text, match.index),
    message: `\`${match[0]}\` in a pure room, take time, randomness and I/O as arguments or return a duty`,
  }));
}

/**
 * Files that import each other in a circle. One fault per circle.
 *
 * Types do not count: they are gone before anything is loaded, so nobody meets a half-made module.
 */
export function cycleFaults(files: readonly SourceFile[]): Fault[] {
  const graph = new Map<string, { readonly target: string; readonly line: number }[]>();
  for (const { path, text } of files) {
    const edges = importsOf(text)
      .filter(({ specifier, isType }) => specifier.startsWith(".") && !isType)
      .map(({ specifier, line }) => ({ target: posix.join(posix.dirname(path), specifier), line }));
    graph.set(path, edges);
  }
  const faults: Fault[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    trail.push(path);
    for (const { target, line } of graph.get(path) ?? []) {
      const start = trail.indexOf(target);
      if (start >= 0) {
        const circle = [...trail.slice(start), target].join(" -> ");
        faults.push({
          file: path,
          line,
          message: `imports in a circle (${circle}), move what both need to a third file`,
        });
      } else if (graph.has(target) && !done.has(target)) visit(target);
    }
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) if (!done.has(path)) visit(path);
  return faults;
}

/**
 * Documents and heads name files of this repository; each of them must be there.
 *
 * @param exists - Whether there is a file or folder of this path.
 */
export function referenceFaults({ path, text }: SourceFile, exists: (path: string) => boolean): Fault[] {
  const named = path.endsWith(".md")
    ? [...text.matchAll(/`((?:src|test|scripts|docs|types)\/[\w./-]+)`/g)]
    : [...text.matchAll(/\b(docs\/[\w./-]+\.md)\b/g)];
  const linked = path.endsWith(".md") ? [...text.matchAll(/\]\((?![a-z]+:)([^)#\s]+)[^)]*\)/g)] : [];
  const fault = (match: RegExpExecArray, target: string) => ({
    file: path,
    line: lineAt(text, match.index),
    message: `names ${target}, which is not there: name what replaced it`,
  });
  return [
    ...named.map((match) => ({ match, target: match[1] ?? "" })),
    ...linked.map((match) => ({ match, target: posix.join(posix.dirname(path), match[1] ?? "") })),
  ].flatMap(({ match, target }) => (exists(target) ? [] : [fault(match, target)]));
}

/** A link to a heading of a page of ours leads to one. */
export function anchorFaults(files: readonly SourceFile[]): Fault[] {
  const pages = new Map(
    files.filter(({ path }) => path.endsWith(".md")).map(({ path, text }) => [path, text]),
  );
  return [...pages].flatMap(([path, text]) =>
    [...text.matchAll(/\]\((?![a-z]+:)([^)#\s]*)#([^)\s]+)\)/g)].flatMap((match) => {
      const [, file = "", anchor = ""] = match;
      const target = file === "" ? path : posix.join(posix.dirname(path), file);
      const page = pages.get(target);
      if (page === undefined || anchorsOf(page).has(anchor)) return [];
      const message = `links to #${anchor}, which is no heading of ${target}: name one`;
      return [{ file: path, line: lineAt(text, match.index), message }];
    }),
  );
}

/** As GitHub makes them of headings, but for the numbers it gives to those that come twice. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = page.replace(/^```.*?^```$/gms, "").matchAll(/^#+ +(.+)$/gm);
  return new Set(
    [...headings].map(([, heading = ""]) =>
      heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/**
 * A lock file must work from anybody's registry and on any platform: it names no registry, and has the
 * packages of all platforms. npm leaves out those that its registry lacks, and
 * `npm ci` then refuses the file.
 */
export function lockFaults({ path, text }: SourceFile): Fault[] {
  const { packages = {} }: { readonly packages?: Readonly<Record<string, LockedPackage>> } = JSON.parse(text);
  const missing = Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isLocked(packages, parent, name))
      .map((name) => `${name}, which ${parent} wants on some platform, is not locked, add its entry by hand`),
  );
  const hosts = [...text.matchAll(/"resolved": "[^"]*"/g)];
  return [
    ...missing.map((message) => ({ file: path, line: 1, message })),
    ...hosts.map((match) => ({
      file: path,
      line: lineAt(text, match.index),
      message: 'where a package came from, remove the "resolved" line (.npmrc leaves it out)',
    })),
  ];
}

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Whether Node would find the package from its parent's folder, or any above it. */
function isLocked(packages: Readonly<Record<string, unknown>>, parent: string, name: string): boolean {
  for (let folder = parent; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (`${folder === "" ? "" : `${folder}/`}node_modules/${name}` in packages) return true;
    if (folder === "") return false;
  }
}
