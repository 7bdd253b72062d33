/**
 * Service discovery: who offers what, where, and whether it is well.
 *
 * Instances are Curator's: `<base>/<name>/<id>` with the JSON of its `ServiceInstance`, so that Curator's
 * `ServiceDiscovery` and Spring's see these, and these see theirs. What Curator does not know of stands beside
 * the base, since Curator takes every child of it for a service:
 *
 * - `<base>.checks/<name>/<id>`: the check that an instance asks for; it lives as long as the instance.
 * - `<base>.health/<name>/<id>`: the state that its check has found, or that it has reported itself.
 *
 * Without a check an instance is as well as its session: there, or gone. With one it is critical until the
 * first good word. `service-checker.ts` does the checking.
 *
 * Sources: Curator `ServiceDiscoveryImpl`, `ServiceInstance`; Consul's health states.
 *
 * @module
 */

import { type Duration, joinPath, parseDuration, pathFault, ZkErrorCode } from "../base/index.ts";
import { type Client, json, orAbort, type Registration, ZkError, type Znode } from "../client/index.ts";
import { updateZnode } from "./atomic.ts";
import { Bell, orMissing } from "./bell.ts";
import { type Check, type Health, type HealthState, noteLengthMax, parseHealth } from "./service-health.ts";
import { SubtreeCache } from "./subtree-cache.ts";

/** What an instance says of itself. */
export interface ServiceOptions {
  readonly name: string;
  /** Default: a random UUID. */
  readonly id?: string | undefined;
  readonly address: string;
  readonly port?: number | undefined;
  readonly sslPort?: number | undefined;
  /** Any JSON. A Java reader that wants a class of its own finds its name in `@class`. Default: none. */
  readonly payload?: unknown;
  /** `session`: gone with its session. `permanent`: there until it is deregistered. Default: `session`. */
  readonly lives?: "session" | "permanent" | undefined;
  /**
   * What it takes to be well, besides being there. It is done by whoever runs `checkServices`; until then, and
   * while nobody does, the last state stays: `critical` to begin with.
   */
  readonly check?: ServiceCheck | undefined;
}

/** `ttl`: it has to `report` more often than that. `http`: it has to answer 2xx. */
export type ServiceCheck =
  | { readonly ttl: Duration }
  | {
      readonly url: string;
      readonly interval?: Duration | undefined;
      readonly timeout?: Duration | undefined;
    };

/** An instance as others see it. */
export interface ServiceInstance {
  readonly name: string;
  readonly id: string;
  readonly address: string | null;
  readonly port: number | null;
  readonly sslPort: number | null;
  readonly payload: unknown;
  /** Ms since 1970, by its own clock. */
  readonly registeredAtMs: number;
  readonly state: HealthState;
  /** Why, for people. */
  readonly note: string;
}

export interface LookupOptions {
  readonly signal?: AbortSignal | undefined;
  /** Which to list. Default: `passing` and `warning`. */
  readonly states?: readonly HealthState[] | undefined;
}

export interface ServicePaths {
  readonly instances: string;
  readonly checks: string;
  readonly health: string;
}

export function servicePaths(base: string): ServicePaths {
  return { instances: base, checks: `${base}.checks`, health: `${base}.health` };
}

/** An instance that is registered, until it is closed. */
export class Service implements AsyncDisposable {
  readonly name: string;
  readonly id: string;
  readonly #zk: Client;
  readonly #base: string;
  readonly #held: readonly Registration[];
  #isClosed = false;

  constructor(
    zk: Client,
    base: string,
    { name, id }: { name: string; id: string },
    held: readonly Registration[],
  ) {
    this.#zk = zk;
    this.#base = base;
    this.name = name;
    this.id = id;
    this.#held = held;
  }

  /**
   * Says how it is: what a `ttl` check waits for.
   *
   * @param note - Why, for people; at most 200 characters.
   * @throws {@link ZkError} As `Client.set`. With outcome `unknown` it may have been stored: report again.
   */
  async report(state: HealthState, note = "", signal?: AbortSignal): Promise<void> {
    const health = json({ state, note: note.slice(0, noteLengthMax) } satisfies Health);
    await updateZnode(
      this.#zk,
      joinPath(`${servicePaths(this.#base).health}/${this.name}`, this.id),
      () => health,
      {
        signal,
      },
    );
  }

  /** Takes it out of the list. Once is enough. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(this.#held.map((each) => each.close()));
    await deregisterService(this.#zk, this.#base, this.name, this.id);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Registers an instance and resolves when others can see it.
 *
 * While another session holds an instance of this id, it waits for that session's end.
 *
 * @param base - Where services are: Curator's base path, such as `/services`.
 * @throws {@link ZkError} `BadArguments` for names and checks that make no sense; as `Client.create`.
 * @example
 * await using api = await registerService(zk, "/services", { name: "api", address: "10.0.0.7", port: 80 });
 */
export async function registerService(zk: Client, base: string, options: ServiceOptions): Promise<Service> {
  const {
    name,
    id = crypto.randomUUID(),
    address,
    port,
    sslPort,
    payload = null,
    lives = "session",
  } = options;
  checkNames(base, name, id);
  const check = options.check === undefined ? undefined : checkOf(base, options.check);
  const instance = json({
    name,
    id,
    address,
    port: port ?? null,
    sslPort: sslPort ?? null,
    payload,
    registrationTimeUTC: zk.clock.now(),
    serviceType: lives === "session" ? "DYNAMIC" : "PERMANENT",
    uriSpec: null,
  });
  const paths = servicePaths(base);
  const at = (root: string) => `${root}/${name}/${id}`;
  // An earlier instance of this id, and what was known of it, say nothing of this one.
  await zk.delete(at(paths.health)).catch(orMissing);
  if (lives === "permanent") {
    if (check === undefined) await zk.delete(at(paths.checks)).catch(orMissing);
    else await updateZnode(zk, at(paths.checks), () => json(check));
    await updateZnode(zk, at(paths.instances), () => instance);
    return new Service(zk, base, { name, id }, []);
  }
  // The check first: who sees the instance sees that it has one.
  const held = check === undefined ? [] : [zk.register(at(paths.checks), json(check))];
  try {
    await held[0]?.ready;
    const registration = zk.register(at(paths.instances), instance);
    held.push(registration);
    await registration.ready;
  } catch (error) {
    await Promise.all(held.map((each) => each.close().catch(() => undefined)));
    throw error;
  }
  return new Service(zk, base, { name, id }, held);
}

/** Takes an instance out of the list, whoever registered it. A session that still holds it puts it back. */
export async function deregisterService(zk: Client, base: string, name: string, id: string): Promise<void> {
  checkNames(base, name, id);
  const { instances, checks, health } = servicePaths(base);
  for (const root of [instances, checks, health]) await zk.delete(`${root}/${name}/${id}`).catch(orMissing);
}

/** The instances of a service now, by id. Those whose JSON is not Curator's are left out. */
export async function servicesOf(
  zk: Client,
  base: string,
  name: string,
  { signal, states }: LookupOptions = {},
): Promise<readonly ServiceInstance[]> {
  checkNames(base, name);
  const paths = servicePaths(base);
  const ids = (await zk.children(`${paths.instances}/${name}`, { signal }).catch(orMissing)) ?? [];
  const read = (root: string, id: string) => zk.get(`${root}/${name}/${id}`, { signal }).catch(orMissing);
  const all = await Promise.all(
    ids.map(async (id) => {
      // Sent together, so answered as of nearly one moment, the check as of the earliest.
      const [check, health, instance] = await Promise.all([
        read(paths.checks, id),
        read(paths.health, id),
        read(paths.instances, id),
      ]);
      return instance === undefined ? undefined : instanceOf(id, instance, check, health);
    }),
  );
  return chosen(all, states);
}

/** The instances now, and after every change; changes in quick succession may be told as one. */
export async function* observeServices(
  zk: Client,
  base: string,
  name: string,
  { signal, states }: LookupOptions & { readonly signal: AbortSignal },
): AsyncGenerator<readonly ServiceInstance[], void, undefined> {
  checkNames(base, name);
  const paths = servicePaths(base);
  const bell = new Bell();
  await using instances = new SubtreeCache(zk, `${paths.instances}/${name}`);
  await using checks = new SubtreeCache(zk, `${paths.checks}/${name}`);
  await using health = new SubtreeCache(zk, `${paths.health}/${name}`);
  const caches = [instances, checks, health];
  for (const cache of caches) cache.subscribe(() => bell.ring());
  let last: string | undefined;
  try {
    await orAbort(Promise.all(caches.map(({ ready }) => ready)), signal);
    for (;;) {
      const fault = caches.find((cache) => cache.fault !== undefined)?.fault;
      if (fault !== undefined) throw fault;
      const all = instances.children(instances.path).map((id) => {
        const instance = instances.get(joinPath(instances.path, id));
        const [check, known] = [checks, health].map((cache) => cache.get(joinPath(cache.path, id)));
        return instance === undefined ? undefined : instanceOf(id, instance, check, known);
      });
      const list = chosen(all, states);
      const text = json(list);
      if (text !== last) yield list;
      last = text;
      await orAbort(bell.heard(), signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The names under which instances have been registered; there may be none left of some. */
export async function serviceNames(
  zk: Client,
  base: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  return [...((await zk.children(base, { signal }).catch(orMissing)) ?? [])].sort();
}

function chosen(
  all: readonly (ServiceInstance | undefined)[],
  states: readonly HealthState[] = ["passing", "warning"],
): readonly ServiceInstance[] {
  return all
    .filter((each) => each !== undefined)
    .filter(({ state }) => states.includes(state))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** `undefined` for what is no instance of Curator's. */
function instanceOf(
  id: string,
  znode: Znode,
  check: Znode | undefined,
  health: Znode | undefined,
): ServiceInstance | undefined {
  const fields = fieldsOf(znode.text);
  if (fields === undefined || fields["id"] !== id || typeof fields["name"] !== "string") return undefined;
  const { name, address, port, sslPort, payload, registrationTimeUTC, enabled } = fields;
  const { state, note } =
    enabled === false
      ? { state: "critical" as const, note: "it is disabled" }
      : (parseHealth(health?.text) ??
        (check === undefined
          ? { state: "passing" as const, note: "" }
          : { state: "critical" as const, note: "it has not been checked yet" }));
  return {
    name,
    id,
    address: typeof address === "string" ? address : null,
    port: typeof port === "number" ? port : null,
    sslPort: typeof sslPort === "number" ? sslPort : null,
    payload: payload ?? null,
    registeredAtMs: typeof registrationTimeUTC === "number" ? registrationTimeUTC : 0,
    state,
    note,
  };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function checkOf(base: string, check: ServiceCheck): Check {
  const ms = (duration: Duration, name: string) => {
    const parsed = parseDuration(duration);
    if (parsed === undefined) throw refused(base, `${name} "${duration}" is no duration`);
    return parsed;
  };
  if ("ttl" in check) return { kind: "ttl", ttlMs: ms(check.ttl, "ttl") };
  const { url, interval = "10s", timeout = "5s" } = check;
  return { kind: "http", url, intervalMs: ms(interval, "interval"), timeoutMs: ms(timeout, "timeout") };
}

function checkNames(base: string, ...names: readonly string[]): void {
  const baseFault = base === "/" ? "it is the root" : pathFault(base);
  if (baseFault !== undefined) throw refused(base, baseFault);
  for (const name of names) {
    const fault = name.includes("/") ? 'it has a "/"' : pathFault(`/${name}`);
    if (fault !== undefined) throw refused(base, `the name ${json(name)}: ${fault}`);
  }
}

function refused(base: string, why: string): ZkError {
  const message = `Cannot register a service at "${base}": ${why}`;
  return new ZkError({ code: ZkErrorCode.BadArguments, message, path: base });
}
