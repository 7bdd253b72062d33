/**
 * The checker: elected, it asks services how they are, and notices those that have fallen silent.
 *
 * It runs in a process of the user's, near the services, and not in the ensemble: see
 * docs/decisions/0030-checks-run-in-the-users-process.md.
 *
 * Every state is written in a transaction that checks the checker's place in the election. A new checker gives
 * everybody a whole `ttl` again, as a new leader does with sessions: it cannot know when the last word came.
 *
 * @module
 */

import { joinPath, nameOf, parentOf, ZkErrorCode } from "../base/index.ts";
import {
  type Client,
  isZkError,
  json,
  type Lock,
  orAbort,
  pause,
  persistently,
  ZkError,
  type Znode,
} from "../client/index.ts";
import { Bell, orMissing } from "./bell.ts";
import { lead } from "./election.ts";
import {
  type Check,
  type Health,
  noteLengthMax,
  originFault,
  parseCheck,
  parseHealth,
  stateAfter,
  type UrlRules,
  urlFault,
} from "./service-health.ts";
import { type ServicePaths, servicePaths } from "./services.ts";
import { SubtreeCache } from "./subtree-cache.ts";

/** Checks of one base, services and their names together in the cache. */
export const checksMax = 5_000;

/** Requests under way at once. */
const requestsMax = 16;

/** Between two looks for what instances have left behind that are gone, ms. */
const sweepMs = 60_000;

export interface CheckerOptions {
  /** What others see of the checker. */
  readonly id: string;
  /**
   * Origins that may be asked: `https://api.example.com`, `https://*.example.com`. A check of another one is
   * not done, and its instance is critical.
   */
  readonly allow: readonly string[];
  /** Whether an allowed origin may be a private address, or a name that stands for one. Default: false. */
  readonly privateAddresses?: boolean | undefined;
  /** Failures in a row after which one that was well is critical, 1 or more. Default: 3. */
  readonly criticalAfter?: number | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
  readonly signal: AbortSignal;
}

/**
 * Stands for checker, and checks while it is one, until the signal aborts. Run it in two places, and one checks.
 *
 * @throws {@link ZkError} `BadArguments` for options that make no sense, and with more than 5,000 checks;
 *   `NoAuth`.
 * @example
 * await checkServices(zk, "/services", { id: hostname, allow: ["https://*.example.com"], signal });
 */
export async function checkServices(zk: Client, base: string, options: CheckerOptions): Promise<void> {
  const { id, allow, privateAddresses = false, criticalAfter = 3, signal } = options;
  const fault = allow.map(originFault).find((each) => each !== undefined);
  if (fault !== undefined) throw refused(base, fault);
  if (!Number.isInteger(criticalAfter) || criticalAfter < 1) {
    throw refused(base, `criticalAfter is ${criticalAfter}, not 1 or more`);
  }
  const ask = options.fetch ?? globalThis.fetch;
  await persistently(zk, signal, () =>
    lead(zk, `${base}.checker`, { id, signal }, (leadership) => {
      const until = AbortSignal.any([signal, leadership.signal]);
      const rules = { allow, privateAddresses };
      return new Reign({ zk, base, leadership, signal: until, rules, criticalAfter, ask }).run();
    }),
  );
}

interface ReignParts {
  readonly zk: Client;
  readonly base: string;
  readonly leadership: Lock;
  readonly signal: AbortSignal;
  readonly rules: UrlRules;
  readonly criticalAfter: number;
  readonly ask: typeof fetch;
}

class Reign {
  readonly #parts: ReignParts;
  readonly #zk: Client;
  readonly #paths: ServicePaths;
  readonly #checks: SubtreeCache;
  readonly #health: SubtreeCache;
  /** By the path of the check and the txn that last changed it. */
  readonly #running = new Map<string, AbortController>();
  readonly #underWay = new Set<Promise<unknown>>();
  /** When each state was last written, by anybody, as far as was seen here. */
  readonly #heardMs = new Map<string, number>();
  readonly #slots = new Slots(requestsMax);
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: ReignParts) {
    this.#parts = parts;
    this.#zk = parts.zk;
    this.#paths = servicePaths(parts.base);
    this.#checks = new SubtreeCache(parts.zk, this.#paths.checks, { limit: checksMax });
    this.#health = new SubtreeCache(parts.zk, this.#paths.health, { limit: 2 * checksMax });
    this.#signal = AbortSignal.any([parts.signal, this.#over.signal]);
  }

  async run(): Promise<void> {
    const bell = new Bell();
    this.#checks.subscribe(() => bell.ring());
    this.#health.subscribe((path, znode) => {
      if (znode === undefined) this.#heardMs.delete(path);
      else this.#heardMs.set(path, this.#zk.clock.now());
    });
    try {
      await orAbort(Promise.all([this.#checks.ready, this.#health.ready]), this.#signal);
      this.#start(() => this.#sweep(this.#signal));
      for (;;) {
        this.#reconcile();
        await orAbort(bell.heard(), this.#signal);
        if (this.#checks.fault !== undefined) throw this.#checks.fault;
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#failure ??= { error };
    } finally {
      this.#over.abort();
      await Promise.all([...this.#underWay, this.#checks.close(), this.#health.close()]);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #reconcile(): void {
    const wanted = new Map(
      this.#checks
        .list()
        .filter(({ path }) => isInstance(path, this.#paths.checks))
        .map((znode) => [`${znode.path}@${znode.stat.mzxid}`, znode]),
    );
    for (const [key, controller] of [...this.#running]) {
      if (wanted.has(key)) continue;
      this.#running.delete(key);
      controller.abort();
    }
    for (const [key, znode] of wanted) {
      if (this.#running.has(key)) continue;
      const controller = new AbortController();
      this.#running.set(key, controller);
      this.#start(() => this.#check(znode, AbortSignal.any([controller.signal, this.#signal])));
    }
  }

  /** What fails with the connection is done again next time; the rest ends the reign. */
  #start(run: () => Promise<unknown>): void {
    const done = run()
      .catch((error: unknown) => {
        if (this.#signal.aborted) return;
        this.#failure ??= { error };
        this.#over.abort();
      })
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  async #check(znode: Znode, signal: AbortSignal): Promise<void> {
    const path = `${this.#paths.health}${znode.path.slice(this.#paths.checks.length)}`;
    const check = parseCheck(znode.text);
    const fault =
      typeof check === "string" ? check : check.kind === "http" && urlFault(check.url, this.#parts.rules);
    try {
      if (typeof fault === "string") await this.#write(path, { state: "critical", note: fault }, signal);
      else if (typeof check !== "string" && check.kind === "ttl")
        await this.#listen(path, check.ttlMs, signal);
      else if (typeof check !== "string" && check.kind === "http")
        await this.#probeOften(path, check, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Waits for a silence that is too long. */
  async #listen(path: string, ttlMs: number, signal: AbortSignal): Promise<never> {
    const sinceMs = this.#zk.clock.now();
    for (;;) {
      const dueMs = Math.max(sinceMs, this.#heardMs.get(path) ?? 0) + ttlMs;
      const leftMs = dueMs - this.#zk.clock.now();
      if (leftMs > 0) {
        await pause(this.#zk.clock, leftMs, signal);
        continue;
      }
      await this.#write(path, { state: "critical", note: `nothing was heard for ${ttlMs} ms` }, signal);
      await pause(this.#zk.clock, ttlMs, signal);
    }
  }

  async #probeOften(path: string, check: Check & { kind: "http" }, signal: AbortSignal): Promise<never> {
    // Not all at once when a checker begins.
    await pause(
      this.#zk.clock,
      Math.floor(this.#zk.clock.random() * Math.min(check.intervalMs, 1_000)),
      signal,
    );
    for (let failures = 0; ; ) {
      const { isGood, note } = await this.#slots.run(() => this.#probe(check, signal), signal);
      failures = isGood ? 0 : failures + 1;
      const before = parseHealth(this.#health.get(path)?.text)?.state;
      await this.#write(
        path,
        { state: stateAfter(before, failures, this.#parts.criticalAfter), note },
        signal,
      );
      await pause(this.#zk.clock, check.intervalMs, signal);
    }
  }

  /** One request. Nothing of the body is read, and no redirect is followed. */
  async #probe(
    { url, timeoutMs }: Check & { kind: "http" },
    signal: AbortSignal,
  ): Promise<{ readonly isGood: boolean; readonly note: string }> {
    const controller = new AbortController();
    const until = AbortSignal.any([signal, controller.signal]);
    const timer = this.#zk.clock.setTimer(() => controller.abort(), timeoutMs);
    // Called as a function: platforms refuse their `fetch` as somebody else's method.
    const { ask } = this.#parts;
    try {
      const asked = ask(url, {
        redirect: "manual",
        signal: until,
        headers: { "User-Agent": "edgekeeper-check" },
      });
      const response = await orAbort(asked, until);
      response.body?.cancel().catch(() => undefined);
      return {
        isGood: response.status >= 200 && response.status < 300,
        note: `it answered ${response.status}`,
      };
    } catch {
      signal.throwIfAborted();
      const why = controller.signal.aborted ? `no answer within ${timeoutMs} ms` : "it could not be reached";
      return { isGood: false, note: why };
    } finally {
      this.#zk.clock.clearTimer(timer);
    }
  }

  /** Only what is new, only while this is the checker, and never over what somebody has said meanwhile. */
  async #write(path: string, { state, note }: Health, signal: AbortSignal): Promise<void> {
    const text = json({ state, note: note.slice(0, noteLengthMax) } satisfies Health);
    await persistently(this.#zk, signal, async () => {
      const known = this.#health.get(path);
      if (known?.text === text) return;
      if (known === undefined) await this.#zk.createPath(parentOf(path), { signal });
      const transaction = this.#zk.transaction().check(this.#parts.leadership.contender);
      if (known === undefined) transaction.create(path, text);
      else transaction.set(path, text, known.stat.version);
      await transaction.commit({ signal }).catch(orOvertaken);
    });
  }

  /** Removes states whose instances are gone. */
  async #sweep(signal: AbortSignal): Promise<never> {
    for (;;) {
      await pause(this.#zk.clock, sweepMs, signal);
      await persistently(this.#zk, signal, async () => {
        for (const { path, stat } of this.#health.list()) {
          if (!isInstance(path, this.#paths.health)) continue;
          const below = path.slice(this.#paths.health.length);
          if (this.#checks.get(`${this.#paths.checks}${below}`) !== undefined) continue;
          const isThere =
            (await this.#zk.exists(`${this.#paths.instances}${below}`, { signal })) !== undefined;
          if (!isThere) await this.#zk.delete(path, { version: stat.version, signal }).catch(orOvertaken);
        }
      });
    }
  }
}

/** `<root>/<name>/<id>`, not the znodes above it. */
function isInstance(path: string, root: string): boolean {
  return (
    path !== root && parentOf(path) !== root && joinPath(root, nameOf(parentOf(path))) === parentOf(path)
  );
}

/** Somebody else has written, or this is the checker no more: of that its signal tells. */
function orOvertaken(error: unknown): void {
  const names = ["NodeExists", "BadVersion"] as const;
  if (!names.some((name) => isZkError(error, name))) orMissing(error);
}

/** So many at once, in the order in which they come. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

function refused(base: string, why: string): ZkError {
  const message = `Cannot check the services at "${base}": ${why}`;
  return new ZkError({ code: ZkErrorCode.BadArguments, message, path: base });
}
