/**
 * What a check is, which URLs may be asked, and what an outcome makes of a state: the decisions of the checker.
 *
 * Whoever may register a service can make the checker ask a URL. So it asks only where its operator allows it:
 * origins by name, no redirects, and no private addresses unless the operator says so. A name that resolves to
 * a private address is not recognised, because no platform's `fetch` tells: allow only names that are yours.
 *
 * Sources: IANA's special-purpose address registries (RFC 6890); Consul's `http` and `ttl` checks.
 *
 * @module
 */

export const healthStates = ["passing", "warning", "critical"] as const;

/** As Consul has them: well; not quite; not to be used. */
export type HealthState = (typeof healthStates)[number];

export interface Health {
  readonly state: HealthState;
  readonly note: string;
}

/** Characters of a note. */
export const noteLengthMax = 200;

/** A check, as its znode has it. */
export type Check =
  | { readonly kind: "ttl"; readonly ttlMs: number }
  | { readonly kind: "http"; readonly url: string; readonly intervalMs: number; readonly timeoutMs: number };

/** Between two checks, and for how long one may go without a word. */
export const periodMs = { min: 1_000, max: 3_600_000 } as const;

/** For an answer. */
export const timeoutMs = { min: 100, max: 60_000 } as const;

/** @returns What is wrong with it, as a string, for what is no check that can be done. */
export function parseCheck(text: string): Check | string {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return "its check is no JSON";
  }
  if (typeof raw !== "object" || raw === null) return "its check is no object";
  const fields: Readonly<Record<string, unknown>> = { ...raw };
  const { kind, url } = fields;
  if (kind === "ttl") {
    const ttlMs = fields["ttlMs"];
    return isWithin(ttlMs, periodMs) ? { kind, ttlMs } : `its ttl is not ${rangeText(periodMs)}`;
  }
  if (kind !== "http" || typeof url !== "string") return "its check is neither ttl nor http";
  const interval = fields["intervalMs"];
  const timeout = fields["timeoutMs"];
  if (!isWithin(interval, periodMs)) return `its interval is not ${rangeText(periodMs)}`;
  if (!isWithin(timeout, timeoutMs)) return `its timeout is not ${rangeText(timeoutMs)}`;
  return { kind, url, intervalMs: interval, timeoutMs: timeout };
}

/** `undefined` for what is none, and for no text. */
export function parseHealth(text: string | undefined): Health | undefined {
  if (text === undefined) return undefined;
  try {
    const raw: unknown = JSON.parse(text);
    if (typeof raw !== "object" || raw === null) return undefined;
    const { state, note }: Readonly<Record<string, unknown>> = { ...raw };
    const known = healthStates.find((each) => each === state);
    return known === undefined ? undefined : { state: known, note: typeof note === "string" ? note : "" };
  } catch {
    return undefined;
  }
}

/**
 * The state after a check: one success is enough to be well again; one that was well and fails is warned of
 * first, and is critical after `criticalAfter` failures in a row. What was never well is critical at once.
 */
export function stateAfter(
  before: HealthState | undefined,
  failures: number,
  criticalAfter: number,
): HealthState {
  if (failures === 0) return "passing";
  const wasWell = before === "passing" || before === "warning";
  return wasWell && failures < criticalAfter ? "warning" : "critical";
}

export interface UrlRules {
  /** Origins: `https://api.example.com`, `http://10.0.0.7:8080`, `https://*.example.com`. */
  readonly allow: readonly string[];
  /** Whether hosts may be private addresses. */
  readonly privateAddresses: boolean;
}

/** Why a URL may not be asked; `undefined` when it may. */
export function urlFault(text: string, { allow, privateAddresses }: UrlRules): string | undefined {
  const url = parseUrl(text);
  if (url === undefined) return "its URL is none";
  if (url.protocol !== "http:" && url.protocol !== "https:") return "its URL is neither http nor https";
  if (url.username !== "" || url.password !== "") return "its URL holds a credential";
  if (!allow.some((pattern) => isAllowed(url, pattern))) return "its origin is not allowed";
  if (!privateAddresses && isPrivateHost(url.hostname)) return "its host is a private address";
  return undefined;
}

/** What is wrong with an allowed origin; `undefined` when nothing is. */
export function originFault(pattern: string): string | undefined {
  const url = parseUrl(pattern.replace("://*.", "://any."));
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (!isOrigin || pattern.endsWith("/") || url.hostname.includes("*")) {
    return `"${pattern}" is no origin, such as https://api.example.com or https://*.example.com`;
  }
  return undefined;
}

/** A star stands for one label or more. */
function isAllowed(url: URL, pattern: string): boolean {
  if (!pattern.includes("://*.")) return parseUrl(pattern)?.origin === url.origin;
  const allowed = parseUrl(pattern.replace("://*.", "://any."));
  if (allowed === undefined || allowed.protocol !== url.protocol || allowed.port !== url.port) return false;
  return url.hostname.endsWith(allowed.hostname.slice("any".length));
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** @param host - As `URL` gives it: numbers of any spelling are dotted, IPv6 is short and in brackets. */
export function isPrivateHost(host: string): boolean {
  if (host.startsWith("[")) return !isGlobalIpv6(host.slice(1, -1));
  const octets = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host)?.slice(1).map(Number);
  if (octets !== undefined) return isPrivateIpv4(octets);
  const name = host.replace(/\.$/, "");
  return !name.includes(".") || /\.(?:localhost|local|internal|home\.arpa)$/.test(name);
}

function isPrivateIpv4([a = 0, b = 0, c = 0]: readonly number[]): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return true;
  if (a === 100) return b >= 64 && b < 128;
  if (a === 169) return b === 254;
  if (a === 172) return b >= 16 && b < 32;
  if (a === 192) return b === 168 || (b === 0 && (c === 0 || c === 2));
  return (a === 198 && (b === 18 || b === 19)) || (a === 198 && b === 51 && c === 100);
}

/** Global unicast, without what stands for an IPv4 address: 6to4, Teredo; and documentation. */
function isGlobalIpv6(address: string): boolean {
  const [first = "", second = ""] = address.split(":");
  const head = Number.parseInt(first === "" ? "0" : first, 16);
  if (head < 0x2000 || head > 0x3fff || head === 0x2002) return false;
  return head !== 0x2001 || !(second === "" || second === "0" || second === "db8");
}

function isWithin(
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

function rangeText({ min, max }: { readonly min: number; readonly max: number }): string {
  return `${min} to ${max} ms`;
}
