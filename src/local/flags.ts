/**
 * The flags of `npm start`: arguments and environment in, options or faults out. Pure.
 *
 * Every setting of `base/settings.ts` is a flag in kebab case, and may come from the environment instead,
 * where a secret is better kept: arguments show in the process list. A flag beats the environment.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { parseSettings, type Settings, settingSpecs } from "../base/index.ts";
import { type Parsed, readPort } from "../gateway/index.ts";

export interface StartOptions {
  /** Where HTTP and the ZooKeeper port listen. */
  readonly host: string;
  /** HTTP and WebSocket; 0 picks a free one. */
  readonly port: number;
  /** ZooKeeper clients; 0 picks a free one. */
  readonly zkPort: number;
  /** The member ZooKeeper clients are connected to: `leader`, `nearest`, or a server id. */
  readonly zkMember: string;
  /** Whether ZooKeeper clients must show the token, where there is one. */
  readonly zkClientsShowToken: boolean;
  /** Directory of all state. */
  readonly data: string;
  /** The Worker's variables: settings that were given, and whether loopback is open. */
  readonly vars: Readonly<Record<string, string>>;
  /** The same, read. */
  readonly settings: Settings;
}

const ownFlags = {
  host: { default: "127.0.0.1", help: "address to listen on; other than loopback needs a token" },
  port: { default: "8787", help: "port of HTTP and WebSocket, 0 for a free one" },
  "zk-port": { default: "2181", help: "port of ZooKeeper clients, 0 for a free one" },
  "zk-auth": {
    default: "token",
    help: "with a token, ZooKeeper clients show it by addauth bearer: token; or none, and ACLs guard alone",
  },
  "zk-member": { default: "leader", help: "member ZooKeeper clients get: leader, nearest or a server id" },
  data: { default: ".edgekeeper", help: "directory of all state" },
} as const;

const helpFlag = "help";
const openVariable = "EK_OPEN_ON_LOOPBACK";

/** The hosts that the Worker, too, takes for loopback. */
const loopbackHosts: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "::1"]);

export function parseFlags(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Parsed<StartOptions> {
  const given = readArguments(args);
  if (typeof given === "string") return { kind: "faults", faults: [given] };
  if (given[helpFlag] === true) return { kind: "help", text: helpText() };

  const faults: string[] = [];
  const text = (flag: keyof typeof ownFlags) => textOf(given[flag]) ?? ownFlags[flag].default;
  const host = text("host");
  const listen = {
    host,
    port: readPort("port", text("port"), faults),
    zkPort: readPort("zk-port", text("zk-port"), faults),
    zkMember: text("zk-member"),
    zkClientsShowToken: text("zk-auth") === "token",
    data: text("data"),
  };
  if (host === "") faults.push("--host is empty: it must be an address to listen on.");
  if (!["token", "none"].includes(text("zk-auth"))) {
    faults.push(`--zk-auth is ${JSON.stringify(text("zk-auth"))}: it must be token or none.`);
  }
  if (listen.data === "") faults.push("--data is empty: it must be a directory.");
  if (listen.port !== 0 && listen.port === listen.zkPort) {
    faults.push(`--port and --zk-port are both ${listen.port}: they must differ.`);
  }

  const vars = { ...settingsOf(environment), ...settingsOfFlags(given) };
  const asked = parseSettings(vars);
  if (!asked.ok) faults.push(...asked.faults.map(inFlags));
  if (asked.ok && !isMember(listen.zkMember, asked.settings)) {
    const { members, observers } = asked.settings;
    faults.push(
      `--zk-member is ${JSON.stringify(listen.zkMember)}: it must be leader, nearest or a server id from 1 to ${members + observers}.`,
    );
  }
  const access = asked.ok ? accessFault(host, asked.settings, vars) : undefined;
  if (access !== undefined) faults.push(access);
  if (faults.length > 0) return { kind: "faults", faults };

  const opened = asked.ok && asked.settings.token !== undefined ? vars : { ...vars, [openVariable]: "on" };
  const parsed = parseSettings(opened);
  if (!parsed.ok) return { kind: "faults", faults: parsed.faults };
  return { kind: "start", options: { ...listen, vars: opened, settings: parsed.settings } };
}

function isMember(text: string, { members, observers }: Settings): boolean {
  if (text === "leader" || text === "nearest") return true;
  return /^[1-9][0-9]{0,2}$/.test(text) && Number(text) <= members + observers;
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

/** What was given, by flag, or what is wrong with it. */
function readArguments(args: readonly string[]): Given | string {
  const flags = [...Object.keys(ownFlags), ...settingSpecs.map((spec) => spec.flag)];
  const texts = Object.fromEntries(flags.map((flag) => [flag, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options: { ...texts, [helpFlag]: { type: "boolean", short: "h" } } })
      .values;
  } catch (error) {
    // Its first sentence names the flag; the rest explains parsing rules.
    const reason = error instanceof Error ? error.message : String(error);
    return `${reason.split(". ")[0]}: see npm start -- --help.`;
  }
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The `EK_` variables, unknown ones too, so that a misspelt one is noticed. */
function settingsOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const vars: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith("EK_") && value !== undefined) vars[name] = value;
  }
  return vars;
}

function settingsOfFlags(given: Given): Record<string, string> {
  const vars: Record<string, string> = {};
  for (const spec of settingSpecs) {
    const value = textOf(given[spec.flag]);
    if (value !== undefined) vars[spec.name] = value;
  }
  return vars;
}

/** Names flags rather than variables: whoever types `--tick-ms` looks for that. */
function inFlags(fault: string): string {
  const spec = settingSpecs.find(({ name }) => fault.startsWith(`${name} `));
  return spec === undefined ? fault : fault.replace(spec.name, `--${spec.flag} (${spec.name})`);
}

/** Nobody may get in by accident, and nobody may be left without a way in. */
function accessFault(
  host: string,
  settings: Settings,
  vars: Readonly<Record<string, string>>,
): string | undefined {
  if (settings.token !== undefined) return undefined;
  if (!loopbackHosts.has(host)) {
    return `--host ${host} can be reached from other machines: set EK_TOKEN or --token first, or leave --host at 127.0.0.1.`;
  }
  if (vars[openVariable] === "off") {
    return "--open-on-loopback is off and there is no token: nobody could use the ensemble, set EK_TOKEN or --token.";
  }
  return undefined;
}

function helpText(): string {
  const flags = [
    ...Object.entries(ownFlags).map(([flag, spec]) => ({ flag, default: spec.default, help: spec.help })),
    ...settingSpecs.map(({ flag, default: fallback, help }) => ({ flag, default: fallback, help })),
  ];
  const lines = flags.map((entry) => {
    const fallback = entry.default === undefined ? "" : ` (${entry.default})`;
    return `  --${entry.flag.padEnd(28)} ${entry.help}${fallback}`;
  });
  return [
    "A local ensemble: npm start -- [flags]",
    "",
    ...lines,
    "",
    "Every flag from --tick-ms on may be an environment variable instead: EK_TICK_MS, EK_TOKEN, ...",
    "",
  ].join("\n");
}
