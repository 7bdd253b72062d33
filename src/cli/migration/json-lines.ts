/**
 * An export as JSON lines: one znode a line, parents first, for people and other programs.
 *
 * `{"path":"/a","data":"blue","encoding":"utf8","acl":[{"perms":"cdrwa","scheme":"world","id":"anyone"}],"kind":"persistent"}`
 *
 * @module
 */

import { type Acl, formatPerms, parsePerms, pathFault } from "../../base/index.ts";
import { FileFault } from "./byte-window.ts";
import type { RecordLifetime, ZnodeRecord } from "./znode-record.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One line, without its end. */
export function formatLine({ path, data, acl, lifetime, stat }: ZnodeRecord): string {
  return JSON.stringify({
    path,
    ...dataFields(data),
    acl: acl.map(({ perms, scheme, id }) => ({ perms: formatPerms(perms), scheme, id })),
    kind: lifetime.kind,
    ...(lifetime.kind === "ttl" && { ttl_ms: lifetime.ttlMs }),
    ...(stat !== undefined && {
      stat: {
        czxid: `0x${stat.czxid.toString(16)}`,
        mzxid: `0x${stat.mzxid.toString(16)}`,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
      },
    }),
  });
}

/**
 * @param line - For the message: which one it is, counted from 1.
 * @throws {@link FileFault} For anything but a line that {@link formatLine} could have made.
 */
export function parseLine(text: string, line: number): ZnodeRecord {
  const fault = (what: string) => new FileFault(`Cannot read line ${line}: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault("it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw fault("it is no object");
  const { path, data, encoding, acl, kind, ttl_ms: ttlMs }: Partial<Record<string, unknown>> = { ...value };
  if (typeof path !== "string") throw fault('"path" is no text');
  const why = pathFault(path);
  if (why !== undefined) throw fault(`"path" is "${path}": ${why}`);
  const bytes = parseData(data, encoding);
  if (bytes === undefined) throw fault('"data" and "encoding" do not fit, write "utf8", "base64" or null');
  const entries = parseAcl(acl);
  if (entries === undefined) throw fault('"acl" is no list of {"perms":"cdrwa","scheme","id"}');
  const lifetime = parseLifetime(kind, ttlMs);
  if (lifetime === undefined) throw fault('"kind" is not "persistent", "container" or "ttl" with "ttl_ms"');
  return { path, data: bytes, acl: entries, lifetime };
}

function dataFields(data: Uint8Array | null): { data: string | null; encoding: "utf8" | "base64" | null } {
  if (data === null) return { data: null, encoding: null };
  try {
    return { data: utf8.decode(data), encoding: "utf8" };
  } catch {
    return { data: Buffer.from(data).toString("base64"), encoding: "base64" };
  }
}

function parseData(data: unknown, encoding: unknown): Uint8Array | null | undefined {
  if (data === null && encoding === null) return null;
  if (typeof data !== "string") return undefined;
  if (encoding === "utf8") return new TextEncoder().encode(data);
  if (encoding !== "base64") return undefined;
  const bytes = Buffer.from(data, "base64");
  return bytes.toString("base64") === data ? new Uint8Array(bytes) : undefined;
}

function parseAcl(value: unknown): readonly Acl[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const acl: Acl[] = [];
  for (const entry of value) {
    const { perms, scheme, id }: Partial<Record<string, unknown>> =
      typeof entry === "object" ? { ...entry } : {};
    const bits = typeof perms === "string" ? parsePerms(perms) : undefined;
    if (bits === undefined || typeof scheme !== "string" || typeof id !== "string") return undefined;
    acl.push({ perms: bits, scheme, id });
  }
  return acl;
}

function parseLifetime(kind: unknown, ttlMs: unknown): RecordLifetime | undefined {
  if (kind === "persistent" || kind === "container") return { kind };
  if (kind !== "ttl" || typeof ttlMs !== "number" || !Number.isSafeInteger(ttlMs) || ttlMs < 1)
    return undefined;
  return { kind, ttlMs };
}

/**
 * The lines of a text that comes in pieces, without their ends. Only LF ends one: `node:readline` would also end it at
 * U+2028, which JSON leaves as it is within a string.
 */
export async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const piece of pieces) {
    const [first = "", ...more] = piece.split("\n");
    rest += first;
    for (const line of more) {
      yield rest;
      rest = line;
    }
  }
  if (rest !== "") yield rest;
}
