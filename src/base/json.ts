/**
 * How a znode looks in JSON, on every surface that speaks it.
 *
 * @module
 */

import { formatSessionId } from "./ids.ts";
import type { Stat } from "./records.ts";
import { formatZxid } from "./zxid.ts";

/** ZooKeeper's names; what has 64 bits is printed in hex, because JSON's numbers have 53. */
export function statJson(stat: Stat): Readonly<Record<keyof Stat, string | number>> {
  return {
    czxid: formatZxid(stat.czxid),
    mzxid: formatZxid(stat.mzxid),
    ctime: stat.ctime,
    mtime: stat.mtime,
    version: stat.version,
    cversion: stat.cversion,
    aversion: stat.aversion,
    ephemeralOwner: formatSessionId(stat.ephemeralOwner),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
    pzxid: formatZxid(stat.pzxid),
  };
}

export interface JsonValue {
  readonly value: string | null;
  readonly encoding: "utf8" | "base64" | "null";
}

/** Text where the data is UTF-8, byte for byte (a byte order mark stays), base64 otherwise. */
export function jsonValue(data: Uint8Array | null): JsonValue {
  if (data === null) return { value: null, encoding: "null" };
  const text = decodeUtf8(data);
  return text === undefined
    ? { value: encodeBase64(data), encoding: "base64" }
    : { value: text, encoding: "utf8" };
}

function decodeUtf8(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

function encodeBase64(data: Uint8Array): string {
  // In slices, because a call takes only so many arguments; of a length that 3 divides, to be joinable.
  const sliceBytes = 3 * 4_096;
  const parts: string[] = [];
  for (let start = 0; start < data.length; start += sliceBytes) {
    parts.push(btoa(String.fromCharCode(...data.subarray(start, start + sliceBytes))));
  }
  return parts.join("");
}
