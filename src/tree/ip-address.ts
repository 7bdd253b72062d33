/**
 * IP literals, as far as the `ip` scheme of ACLs needs them.
 *
 * Source: ZooKeeper `IPAuthenticationProvider`; RFC 4291 section 2.2 for the text form.
 *
 * @module
 */

/**
 * 4 or 16 bytes; `undefined` for anything that is no IPv4 or IPv6 literal. The mixed form (`::ffff:1.2.3.4`)
 * is none: ZooKeeper refuses it too.
 */
export function parseIpAddress(text: string): readonly number[] | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Whether `text` is an address with an optional `/bits`. */
export function isIpBlock(text: string): boolean {
  return parseIpBlock(text) !== undefined;
}

/** Whether `address` lies in `block`; addresses of the other family never do. */
export function isInIpBlock(address: string, block: string): boolean {
  const bytes = parseIpAddress(address);
  const parsed = parseIpBlock(block);
  if (bytes === undefined || parsed === undefined) return false;
  if (bytes.length !== parsed.bytes.length) return false;
  return bytes.every((byte, at) => {
    const bitsHere = Math.min(8, Math.max(0, parsed.bits - 8 * at));
    return byte >> (8 - bitsHere) === (parsed.bytes[at] ?? 0) >> (8 - bitsHere);
  });
}

function parseIpBlock(text: string): { bytes: readonly number[]; bits: number } | undefined {
  const slash = text.indexOf("/");
  const bytes = parseIpAddress(slash === -1 ? text : text.slice(0, slash));
  if (bytes === undefined) return undefined;
  if (slash === -1) return { bytes, bits: 8 * bytes.length };
  const digits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > 8 * bytes.length) return undefined;
  return { bytes, bits: Number(digits) };
}

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? head : undefined;
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

/** The bytes of colon-separated groups, none for the empty text. */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
