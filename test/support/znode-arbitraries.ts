/**
 * Paths and values that whatever carries znodes must carry unharmed: one table for every surface.
 *
 * ZooKeeper refuses surrogates, so names have no character beyond the basic plane; values may have any.
 *
 * @module
 */

import fc from "fast-check";
import { isValidPath } from "../../src/base/index.ts";

/** Names that something on the way could take for its own syntax, or tidy up. */
const awkwardNames = [
  ...["%", "%2F", "%2f", "%25", "%2e%2e", "%00", "%FF", "%u0041", "+", "a+b", "?children", "#", "a&b=c"],
  ...["...", ".hidden", "end.", ". .", " ", " a ", "\\", "a\\..", ":", ";", "~", "|", "`", "@", "$&", "!"],
  ...["*", "**", "[0]", "{path}", "<b>", '"', "'", "__proto__", "constructor", "null", "0", "-0000000001"],
  ...["\u00a0", "\u00e9", "e\u0301", "\u200d", "\u2028", "\u3000", "\ufeff", "\ufeffa", "\uffef", "\u212a"],
] as const;

/** Percent-encoded it has 3.6 KB: four of them are what a URL can carry (16 KB at Cloudflare). */
const longName = "\u6f22".repeat(400);

const unit = fc
  .oneof(
    fc.integer({ min: 0x20, max: 0x7e }),
    fc.integer({ min: 0xa0, max: 0xd7ff }),
    fc.integer({ min: 0xf900, max: 0xffef }),
  )
  .map((code) => String.fromCharCode(code))
  .filter((text) => text !== "/");

/** Any name a znode may have. */
export const znodeName = fc
  .oneof(
    { weight: 5, arbitrary: fc.string({ unit, minLength: 1, maxLength: 12 }) },
    { weight: 5, arbitrary: fc.constantFrom(...awkwardNames) },
    { weight: 1, arbitrary: fc.constant(longName) },
  )
  .filter((name) => isValidPath(`/${name}`));

/** Any path but the root, up to four deep. */
export const znodePath = fc
  .array(znodeName, { minLength: 1, maxLength: 4 })
  .map((names) => `/${names.join("/")}`);

/** Names that no znode may have and a URL can still say. */
export const refusedName = fc.constantFrom(
  ...["\u{1f98d}", "a\u{10000}b", "\u0000", "a\u001f", "\u007f", "\u009f", "\ue000", "\ufff0", "\uffff"],
);

/** Bytes: any, text of any kind, and what looks like something else. */
export const znodeBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: "binary", maxLength: 60 }).map((text) => new TextEncoder().encode(text)),
  fc
    .constantFrom(
      "",
      "\u0000",
      "\ufeff",
      "\r\n\r\n",
      "\n",
      "data: x\n\nid: 0x1\n\n",
      "null",
      '{"a":1}',
      '"',
      "=",
    )
    .map((text) => new TextEncoder().encode(text)),
  fc
    .constantFrom([0xff], [0xc3], [0xef, 0xbb], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0xa6])
    .map((bytes) => Uint8Array.from(bytes)),
);

/** No data is not empty data. */
export const znodeValue = fc.option(znodeBytes, { freq: 8 });
