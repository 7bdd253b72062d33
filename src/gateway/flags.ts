/**
 * The flags of `npm run gateway`: arguments, environment and files in, options or faults out.
 *
 * Secrets come from the environment (`EK_TOKEN`): arguments show in the process list.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { parseSettings } from "../base/index.ts";
import type { GatewayOptions, SecurePort } from "./gateway.ts";
import { type Parsed, readPort } from "./program.ts";
import { discreetWords } from "./words.ts";

interface FlagSpec {
  readonly default?: string | undefined;
  readonly help: string;
}

const flags = {
  connect: { help: "where the Worker is: https://name.workers.dev; required" },
  ensemble: { default: "main", help: "ensemble to connect clients to" },
  member: { default: "leader", help: "member that clients get: leader, nearest or a server id" },
  host: { default: "127.0.0.1", help: "address to listen on" },
  port: { default: "2181", help: "port without TLS; 0 for a free one, none for no such port" },
  "tls-port": { help: "port with TLS; 0 for a free one" },
  "tls-cert": { help: "file of the gateway's certificate and its chain, PEM" },
  "tls-key": { help: "file of its private key, PEM" },
  "tls-client-ca": { help: "file of the authorities that sign client certificates, PEM: clients need one" },
  auth: {
    default: "token",
    help: "token: clients without a certificate show EK_TOKEN by addauth bearer; none",
  },
  "max-connections-per-address": { default: "60", help: "connections one address may have open, 0 for any" },
  "four-letter-words": {
    default: discreetWords.join(","),
    help: "four-letter words that are answered, * for all",
  },
} as const satisfies Readonly<Record<string, FlagSpec>>;

type Flag = keyof typeof flags;

/** @param readFile - Answers a file's text, or throws. */
export function parseGatewayFlags(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Parsed<GatewayOptions> {
  const given = readArguments(args);
  if (typeof given === "string") return { kind: "faults", faults: [given] };
  if (given["help"] === true) return { kind: "help", text: helpText() };
  const faults: string[] = [];
  const text = (flag: Flag) => {
    const value = given[flag];
    const spec: FlagSpec = flags[flag];
    return typeof value === "string" ? value : spec.default;
  };
  const url = readUrl(text("connect"), faults);
  const auth = text("auth");
  if (auth !== "token" && auth !== "none")
    faults.push(`--auth is ${quoted(auth)}: it must be token or none.`);
  const member = text("member") ?? "";
  if (!/^(leader|nearest|[0-9]{1,3})$/.test(member)) {
    faults.push(`--member is ${quoted(member)}: it must be leader, nearest or a server id.`);
  }
  const plainText = text("port");
  const listenPort = plainText === "none" ? undefined : readPort("port", plainText, faults);
  const secure = readSecurePort(text, readFile, faults);
  if (plainText === "none" && secure === undefined) faults.push("--port is none: then give --tls-port.");
  const parsed = parseSettings({
    EK_TOKEN: environment["EK_TOKEN"],
    EK_ENSEMBLES: text("ensemble"),
    EK_MAX_CONNECTIONS_PER_ADDRESS: text("max-connections-per-address"),
    EK_FOUR_LETTER_WORDS: text("four-letter-words"),
  });
  if (!parsed.ok) faults.push(...parsed.faults);
  if (!parsed.ok || faults.length > 0 || url === undefined) return { kind: "faults", faults };
  const { token, ensembles, maxConnectionsPerAddress, fourLetterWords } = parsed.settings;
  const listening = { listenHost: text("host") ?? "", listenPort, secure };
  const ensemble = ensembles[0] ?? "main";
  const clientsShowToken = auth === "token" && token !== undefined;
  const limits = { maxConnectionsPerAddress, fourLetterWords };
  return {
    kind: "start",
    options: { ...listening, ...limits, url, ensemble, member, token, clientsShowToken },
  };
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

function readArguments(args: readonly string[]): Given | string {
  const texts = Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options: { ...texts, help: { type: "boolean", short: "h" } } })
      .values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `${reason.split(". ")[0]}: see npm run gateway -- --help.`;
  }
}

/** `http:` only to this machine: the token must not travel in the clear. */
function readUrl(text: string | undefined, faults: string[]): string | undefined {
  const url = text === undefined ? null : URL.parse(text);
  const isLocal = url !== null && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal)) return url.origin;
  const what = text === undefined ? "--connect is missing" : `--connect is ${quoted(text)}`;
  faults.push(`${what}: it must be https://<host>, or http:// for this machine.`);
  return undefined;
}

function readSecurePort(
  text: (flag: Flag) => string | undefined,
  readFile: (path: string) => string,
  faults: string[],
): SecurePort | undefined {
  const port = text("tls-port");
  const others = ["tls-cert", "tls-key", "tls-client-ca"] as const;
  if (port === undefined) {
    const orphan = others.find((flag) => text(flag) !== undefined);
    if (orphan !== undefined) faults.push(`--${orphan} needs --tls-port.`);
    return undefined;
  }
  const read = (flag: Flag) => {
    const path = text(flag);
    if (path === undefined) return undefined;
    try {
      return readFile(path);
    } catch (error) {
      faults.push(`--${flag}: ${error instanceof Error ? error.message : String(error)}.`);
      return "";
    }
  };
  const [certificate, key] = [read("tls-cert"), read("tls-key")];
  if (certificate === undefined || key === undefined)
    faults.push("--tls-port needs --tls-cert and --tls-key.");
  const listenPort = readPort("tls-port", port, faults);
  return { listenPort, certificate: certificate ?? "", key: key ?? "", clientCa: read("tls-client-ca") };
}

function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? "");
}

function helpText(): string {
  const lines = Object.entries(flags).map(([flag, spec]) => {
    const fallback = "default" in spec ? ` (${spec.default})` : "";
    return `  --${flag.padEnd(28)} ${spec.help}${fallback}`;
  });
  const head = "The ZooKeeper port of an ensemble elsewhere: npm run gateway -- --connect <url> [flags]";
  return [head, "", ...lines, "", "EK_TOKEN in the environment is the deployment's token.", ""].join("\n");
}
