/**
 * The text of `/zookeeper/config`: who the members are, as ZooKeeper writes it and clients read it.
 *
 * `server.<id>=<host>:<quorumPort>:<electionPort>:<participant|observer>[;<clientHost>:<clientPort>]`, a line
 * each, then `version=<hex>` without a newline. Members are objects and listen nowhere: their hosts are names
 * that mean something to people only. A host's last label may name a place, which is where the object of a
 * new member is made (`member-4.weur`).
 *
 * Sources: ZooKeeper `QuorumMaj.toString`, `QuorumPeer.QuorumServer`, `QuorumPeerConfig.parseDynamicConfig`.
 *
 * @module
 */

import { makeServerId, type ServerId, serverIdMax, type Zxid, zxidToBigint } from "../base/index.ts";

export interface ServerLine {
  readonly id: ServerId;
  readonly role: "voter" | "observer";
  /** `host:port:port`, several of them parted by `|`. */
  readonly address: string;
  /** `host:port`; `undefined` when clients are told nothing. */
  readonly client: string | undefined;
}

/** What a member is called that was added without an address of its own. */
export function defaultAddress(id: ServerId, location: string | undefined): string {
  const host = location === undefined ? `member-${id}` : `member-${id}.${location}`;
  return `${host}:2888:3888`;
}

/** The last label of a member's host: where its object is to be made, if that is a place. */
export function locationOf({ address }: ServerLine): string | undefined {
  return /^[^:|]+\.([a-z-]+):/.exec(address)?.[1];
}

/** Lines in order of ids, each ended by a newline. */
export function formatServers(servers: readonly ServerLine[]): string {
  return [...servers]
    .sort((a, b) => a.id - b.id)
    .map(({ id, role, address, client }) => {
      const type = role === "voter" ? "participant" : "observer";
      return `server.${id}=${address}:${type}${client === undefined ? "" : `;${client}`}\n`;
    })
    .join("");
}

export function formatConfig(servers: string, version: Zxid): string {
  return `${servers}version=${zxidToBigint(version).toString(16)}`;
}

const hostPattern = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[^:;|,=\s\[\]]+)`;
const addressPattern = new RegExp(`^(${hostPattern}:\\d{1,5}:\\d{1,5})(?::(participant|observer))?$`);
const clientPattern = new RegExp(`^(?:(${hostPattern}):)?(\\d{1,5})$`);

/** Servers of one text at most: every id once. */
const linesMax = serverIdMax + 1;

/**
 * Reads servers, one to an entry, entries parted by commas or newlines. A `version=` entry is skipped.
 * `undefined` when anything is not understood: groups and weights among the rest, which are not built.
 */
export function parseServers(text: string): readonly ServerLine[] | undefined {
  const entries = text
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "" && !entry.startsWith("version="));
  if (entries.length > linesMax) return undefined;
  const servers: ServerLine[] = [];
  for (const entry of entries) {
    const server = parseServer(entry);
    if (server === undefined || servers.some(({ id }) => id === server.id)) return undefined;
    servers.push(server);
  }
  return servers;
}

function parseServer(entry: string): ServerLine | undefined {
  const [, digits = "", spec = ""] = /^server\.([1-9]\d{0,2})\s*=\s*(\S+)$/.exec(entry) ?? [];
  const id = Number(digits);
  if (digits === "" || id > serverIdMax) return undefined;
  const [quorum = "", clientSpec, ...rest] = spec.split(";");
  if (rest.length > 0) return undefined;
  const addresses: string[] = [];
  let role: ServerLine["role"] = "voter";
  for (const part of quorum.split("|")) {
    const [, address, type] = addressPattern.exec(part) ?? [];
    if (address === undefined || !address.split(":").slice(-2).every(isPort)) return undefined;
    if (type === "observer") role = "observer";
    addresses.push(address);
  }
  const client = clientSpec === undefined ? undefined : parseClient(clientSpec);
  if (clientSpec !== undefined && client === undefined) return undefined;
  return { id: makeServerId(id), role, address: addresses.join("|"), client };
}

function parseClient(spec: string): string | undefined {
  const [, host = "0.0.0.0", port] = clientPattern.exec(spec) ?? [];
  return port !== undefined && isPort(port) ? `${host}:${port}` : undefined;
}

function isPort(digits: string): boolean {
  const port = Number(digits);
  return port >= 1 && port <= 65_535;
}

/** Ids parted by commas; `undefined` when one is none. */
export function parseServerIds(text: string): readonly ServerId[] | undefined {
  const ids: ServerId[] = [];
  for (const word of text.split(",").map((part) => part.trim())) {
    if (word === "") continue;
    const id = /^[1-9]\d{0,2}$/.test(word) ? Number(word) : 0;
    if (id < 1 || id > serverIdMax) return undefined;
    ids.push(makeServerId(id));
  }
  return ids;
}
