/**
 * Settings: the `EK_*` variables of a deployment, each also a flag of `npm start`.
 *
 * Pure: variables in, settings or faults out. A Worker with a fault serves nothing but health, and
 * `npm start` does not start: a setting that is misspelt must not silently mean its default. No fault
 * repeats a secret's value.
 *
 * @module
 */

/** What a setting is called, means and defaults to. */
export interface SettingSpec {
  /** `EK_TICK_MS`. */
  readonly name: string;
  /** `tick-ms`: the flag of `npm start`, without its dashes. */
  readonly flag: string;
  /** As the variable would spell it; `undefined`: unset. */
  readonly default: string | undefined;
  readonly help: string;
  /** Never printed, not even in a fault. */
  readonly secret: boolean;
}

/** Schemes that prove somebody. */
export const authSchemes = ["digest", "x509", "bearer"] as const;
export type AuthScheme = (typeof authSchemes)[number];

export interface Settings {
  /** ZooKeeper's `tickTime`. Sessions live between 2 and 20 ticks. */
  readonly tickMs: number;
  /** `super:<base64 of a SHA-1>`, as ZooKeeper's `superDigest`. */
  readonly superDigest: string | undefined;
  readonly ttlNodes: boolean;
  readonly enforceQuota: boolean;
  /** Whether there is a scheme `x509`, and a gateway that holds the token may say who its clients are. */
  readonly x509: boolean;
  /** A connection must have an identity of one of these to ask anything; none: anybody may. */
  readonly enforceAuthSchemes: readonly AuthScheme[];
  readonly reconfig: boolean;
  /** 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** Requests that have waited for longer are refused with `ThrottledOp`; 0: none are. */
  readonly throttledOpWaitMs: number;
  /** `"*"`: all of them. */
  readonly fourLetterWords: "*" | readonly string[];
  readonly token: string | undefined;
  readonly openOnLoopback: boolean;
  /** Never empty, no name twice. */
  readonly ensembles: readonly string[];
  /** Voters of each ensemble: servers 1 to this. */
  readonly members: number;
  /** Observers of each ensemble: the servers behind the voters. */
  readonly observers: number;
}

export type ParsedSettings =
  | { readonly ok: true; readonly settings: Settings }
  /** Full sentences, each naming the setting, its value unless secret, and what is allowed. */
  | { readonly ok: false; readonly faults: readonly string[] };

const membersMax = 7;

/** An observer costs the leader a stream of all txns. */
const observersMax = 8;

/** A hundred names of 63 characters still fit a variable, which may have 5 KB. */
const ensemblesMax = 100;

const ensembleName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** One setting: its spec, and how its text is read. `undefined` refuses the text. */
interface Reader<Value> {
  readonly spec: SettingSpec;
  /** Completes "… must be". */
  readonly allowed: string;
  read(text: string): Value | undefined;
  /** What the default's text, or its absence, stands for. */
  readonly fallback: Value;
}

function setting<Value>(
  spec: { name: string; default: string | undefined; help: string; secret?: boolean },
  reader: Omit<Reader<Value>, "spec">,
): Reader<Value> {
  const flag = spec.name.slice("EK_".length).toLowerCase().replaceAll("_", "-");
  return { spec: { ...spec, flag, secret: spec.secret ?? false }, ...reader };
}

function integerIn(min: number, max: number, fallback: number): Omit<Reader<number>, "spec"> {
  return {
    allowed: `an integer from ${min} to ${max}`,
    read(text) {
      if (!/^[0-9]{1,10}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max ? value : undefined;
    },
    fallback,
  };
}

function onOrOff(fallback: boolean): Omit<Reader<boolean>, "spec"> {
  return {
    allowed: '"on" or "off"',
    read: (text) => (text === "on" ? true : text === "off" ? false : undefined),
    fallback,
  };
}

function textLike(pattern: RegExp, allowed: string): Omit<Reader<string | undefined>, "spec"> {
  return { allowed, read: (text) => (pattern.test(text) ? text : undefined), fallback: undefined };
}

/** A comma list of distinct names; spaces around commas do not count. */
function readNames(text: string, pattern: RegExp): readonly string[] | undefined {
  const names = text.split(",").map((name) => name.trim());
  const distinct = new Set(names).size === names.length;
  return distinct && names.every((name) => pattern.test(name)) ? names : undefined;
}

function readAuthSchemes(text: string): readonly AuthScheme[] | undefined {
  const names = readNames(text, /^[a-z0-9]+$/);
  const schemes = authSchemes.filter((scheme) => names?.includes(scheme));
  return schemes.length === names?.length ? schemes : undefined;
}

const readers: { readonly [Field in keyof Settings]: Reader<Settings[Field]> } = {
  tickMs: setting(
    {
      name: "EK_TICK_MS",
      default: "2000",
      help: "ZooKeeper's tickTime, ms: sessions live 2 to 20 ticks",
    },
    integerIn(100, 60_000, 2_000),
  ),
  superDigest: setting(
    {
      name: "EK_SUPER_DIGEST",
      default: undefined,
      help: "ZooKeeper's superDigest, super:<base64 of the SHA-1 of super:password>",
      secret: true,
    },
    textLike(/^super:[A-Za-z0-9+/]{27}=$/, '"super:" and the base64 of a SHA-1'),
  ),
  ttlNodes: setting(
    { name: "EK_TTL_NODES", default: "on", help: "whether clients may create TTL znodes" },
    onOrOff(true),
  ),
  enforceQuota: setting(
    {
      name: "EK_ENFORCE_QUOTA",
      default: "off",
      help: "ZooKeeper's enforceQuota: whether hard limits of quotas refuse writes",
    },
    onOrOff(false),
  ),
  x509: setting(
    {
      name: "EK_X509",
      default: "off",
      help: "whether gateways may vouch for TLS client certificates, as identities of scheme x509",
    },
    onOrOff(false),
  ),
  enforceAuthSchemes: setting(
    {
      name: "EK_ENFORCE_AUTH_SCHEMES",
      default: undefined,
      help: "ZooKeeper's enforce.auth.schemes: a client must authenticate by one of them, comma list",
    },
    {
      allowed: `a comma list of ${authSchemes.join(", ")}, none twice`,
      read: readAuthSchemes,
      fallback: [],
    },
  ),
  reconfig: setting(
    { name: "EK_RECONFIG", default: "on", help: "whether clients may reconfigure the ensemble" },
    onOrOff(true),
  ),
  maxConnectionsPerAddress: setting(
    {
      name: "EK_MAX_CONNECTIONS_PER_ADDRESS",
      default: "0",
      help: "client connections one address may have open, 0 for no limit",
    },
    integerIn(0, 1_000_000, 0),
  ),
  throttledOpWaitMs: setting(
    {
      name: "EK_THROTTLED_OP_WAIT_MS",
      default: "0",
      help: "ZooKeeper's throttledOpWaitTime, ms: requests that waited longer are refused, 0 for none",
    },
    integerIn(0, 60_000, 0),
  ),
  fourLetterWords: setting(
    {
      name: "EK_FOUR_LETTER_WORDS",
      default: "*",
      help: "four-letter words that are answered, * for all",
    },
    {
      allowed: '"*" or a comma list of four-letter words, none twice',
      read: (text) => (text === "*" ? text : readNames(text, /^[a-z]{4}$/)),
      fallback: "*",
    },
  ),
  token: setting(
    {
      name: "EK_TOKEN",
      default: undefined,
      help: "secret that HTTP and WebSocket clients must present as a bearer",
      secret: true,
    },
    textLike(/^[\u0021-\u007e]{1,512}$/, "1 to 512 printable ASCII characters without spaces"),
  ),
  openOnLoopback: setting(
    {
      name: "EK_OPEN_ON_LOOPBACK",
      default: "off",
      help: "whether loopback needs no token, for development",
    },
    onOrOff(false),
  ),
  ensembles: setting(
    { name: "EK_ENSEMBLES", default: "main", help: "names of the ensembles that exist, comma list" },
    {
      allowed: `a comma list of at most ${ensemblesMax} names, none twice, of 1 to 63 lower-case letters, digits and hyphens not in front`,
      read(text) {
        const names = readNames(text, ensembleName);
        return names !== undefined && names.length <= ensemblesMax ? names : undefined;
      },
      fallback: ["main"],
    },
  ),
  members: setting(
    { name: "EK_MEMBERS", default: "3", help: "voters of each ensemble" },
    integerIn(1, membersMax, 3),
  ),
  observers: setting(
    {
      name: "EK_OBSERVERS",
      default: "0",
      help: "observers of each ensemble: they serve clients and do not vote",
    },
    integerIn(0, observersMax, 0),
  ),
};

/** Every setting there is, in the order of the documentation. */
export const settingSpecs: readonly SettingSpec[] = Object.values(readers).map((reader) => reader.spec);

/**
 * Reads the `EK_*` variables of `vars` and ignores everything else in it.
 *
 * @param vars - A Worker's `env` or a process's; text, numbers and booleans are understood.
 */
export function parseSettings(vars: Readonly<Record<string, unknown>>): ParsedSettings {
  const faults = unknownNames(vars);
  const read = <Value>(reader: Reader<Value>): Value => {
    const raw = vars[reader.spec.name];
    if (raw === undefined) return reader.fallback;
    const value = readScalar(raw, reader);
    if (value !== undefined) return value;
    faults.push(faultOf(reader, raw));
    return reader.fallback;
  };
  const settings: Settings = {
    tickMs: read(readers.tickMs),
    superDigest: read(readers.superDigest),
    ttlNodes: read(readers.ttlNodes),
    enforceQuota: read(readers.enforceQuota),
    x509: read(readers.x509),
    enforceAuthSchemes: read(readers.enforceAuthSchemes),
    reconfig: read(readers.reconfig),
    maxConnectionsPerAddress: read(readers.maxConnectionsPerAddress),
    throttledOpWaitMs: read(readers.throttledOpWaitMs),
    fourLetterWords: read(readers.fourLetterWords),
    token: read(readers.token),
    openOnLoopback: read(readers.openOnLoopback),
    ensembles: read(readers.ensembles),
    members: read(readers.members),
    observers: read(readers.observers),
  };
  return faults.length === 0 ? { ok: true, settings } : { ok: false, faults };
}

function readScalar<Value>(raw: unknown, reader: Reader<Value>): Value | undefined {
  if (typeof raw !== "string" && typeof raw !== "number" && typeof raw !== "boolean") return undefined;
  return reader.read(String(raw));
}

function unknownNames(vars: Readonly<Record<string, unknown>>): string[] {
  const known = new Set(settingSpecs.map((spec) => spec.name));
  return Object.keys(vars)
    .filter((name) => name.startsWith("EK_") && !known.has(name))
    .map((name) => `${name} is not a setting: the settings are ${[...known].join(", ")}.`);
}

function faultOf<Value>({ spec, allowed }: Reader<Value>, raw: unknown): string {
  const value = spec.secret ? "has a value that is not shown and not allowed" : `is ${printed(raw)}`;
  return `${spec.name} ${value}: it must be ${allowed}.`;
}

function printed(raw: unknown): string {
  return typeof raw === "string" ? JSON.stringify(raw.slice(0, 100)) : String(raw).slice(0, 100);
}
