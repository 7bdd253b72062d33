/**
 * Znode paths in URLs.
 *
 * The rule: behind `/znodes` (or `/locks`) comes the znode's path; its slashes are literal, and every
 * other character may be percent-encoded UTF-8 and is decoded exactly once. So `/znodes/a%20b/%2541` is
 * the znode `/a b/%41`. An encoded slash is refused, because no name can hold one. `.` and `..`, encoded
 * or not, never get here: URL parsers resolve them, and no znode can have those names.
 *
 * @module
 */

export type DecodedPath =
  | { readonly ok: true; readonly path: string }
  /** Fits behind a colon, like base's `pathFault`. */
  | { readonly ok: false; readonly fault: string };

/** What follows `segments` segments of a URL's path: `pathTail("/v1/main/znodes/a/b", 3)` is `/a/b`. */
export function pathTail(pathname: string, segments: number): string {
  let start = 0;
  for (let skipped = 0; skipped < segments; skipped++) {
    start = pathname.indexOf("/", start + 1);
    if (start === -1) return "";
  }
  return pathname.slice(start);
}

/** Decodes what follows the route; nothing, like a lone slash, is the root. Validity is `pathFault`'s. */
export function decodePath(tail: string): DecodedPath {
  const components: string[] = [];
  for (const encoded of (tail || "/").slice(1).split("/")) {
    const component = decodeOnce(encoded);
    if (component === undefined) return { ok: false, fault: "its percent-encoding is not UTF-8" };
    if (component.includes("/")) return { ok: false, fault: "it has an encoded slash" };
    components.push(component);
  }
  return { ok: true, path: `/${components.join("/")}` };
}

/** The inverse: what to put behind the route, for `Location`. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function decodeOnce(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
