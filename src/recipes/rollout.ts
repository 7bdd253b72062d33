/**
 * Configuration that reaches some before all: a candidate beside the stable value, let out in stages.
 *
 * One znode holds it all, so every step is one compare-and-set, and everybody sees a step wholly or not at
 * all. Who has the candidate is a pure question about the znode's value and the asker's name: a stable hash
 * gives each name a place from 0 to 99.99 %, another one in each rollout, so that not the same are always first.
 *
 * Invariants:
 * - Who has the candidate in one stage has it in the next: stages never take back.
 * - `generation` grows with every step. A step may name the one it was decided on, and is refused when another
 *   step came first.
 *
 * Sources: FNV-1a (Fowler, Noll, Vo) with the finalizer of MurmurHash3 (Appleby), since FNV's low bits are weak.
 *
 * @module
 */

import { parentOf, ZkErrorCode } from "../base/index.ts";
import { type Client, isZkError, json, type Schema, ZkError, type Znode } from "../client/index.ts";
import { orMissing } from "./bell.ts";

/** Stages of one rollout. */
export const stagesMax = 100;

/** Who has the candidate in a stage: those of the rings, and this share of all the others. */
export interface Stage {
  /** 0 to 100, at most two decimals. Default: 0. */
  readonly percent?: number | undefined;
  /** Groups named by those who ask, such as `canary`. Default: none. */
  readonly rings?: readonly string[] | undefined;
}

/** A rollout under way. */
export interface Candidate {
  readonly value: unknown;
  readonly stages: readonly Stage[];
  /** The present one: an index into `stages`. */
  readonly stage: number;
  readonly isPaused: boolean;
  /** The generation of its first step: what the hash is salted with. */
  readonly since: number;
}

/** What the znode holds, as JSON. */
export interface RolloutState {
  /** 1 for the first value; grows by one with every step. */
  readonly generation: number;
  readonly stable: unknown;
  readonly candidate: Candidate | null;
}

/** Who asks. */
export interface Participant {
  /** What the share is taken of: a user's, a host's, a tenant's name. */
  readonly key: string;
  readonly ring?: string | undefined;
}

/** What a participant has. */
export interface RolloutView<Value> {
  readonly value: Value;
  readonly generation: number;
  readonly isCandidate: boolean;
}

export interface StepOptions {
  /** Only if the state is still of this generation. */
  readonly generation?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The operator's side: begins a rollout, lets it out further, stops it, takes it back.
 *
 * Every step resolves to the new state.
 *
 * @throws {@link ZkError} From every step: `BadVersion` when `generation` is given and another step came
 *   first; `BadArguments` when the step makes no sense now; `MarshallingError` when the znode holds something
 *   else; with outcome `unknown`, the step may have been taken: read the generation.
 * @example
 * const rollout = new Rollout(zk, "/config/checkout");
 * await rollout.begin({ timeoutMs: 500 }, [{ rings: ["canary"] }, { rings: ["canary"], percent: 10 }]);
 * await rollout.promote(); // 10 % of all; another time, and everybody has it.
 */
export class Rollout {
  readonly #zk: Client;
  readonly path: string;

  constructor(zk: Client, path: string) {
    this.#zk = zk;
    this.path = path;
  }

  /** `undefined` when there is no value yet. */
  async read(signal?: AbortSignal): Promise<RolloutState | undefined> {
    return (await this.#read(signal))?.state;
  }

  /** Gives everybody a value at once: the first one, or one that cannot wait. Ends a rollout under way. */
  set(value: unknown, options: StepOptions = {}): Promise<RolloutState> {
    return this.#step(options, (state) => ({
      generation: (state?.generation ?? 0) + 1,
      stable: value,
      candidate: null,
    }));
  }

  /**
   * Lets a value out to the first stage.
   *
   * @param stages - 1 to 100, each with all the rings of the one before, and no smaller share. Behind the last
   *   one comes everybody.
   */
  begin(value: unknown, stages: readonly Stage[], options: StepOptions = {}): Promise<RolloutState> {
    const fault = stagesFault(stages);
    if (fault !== undefined) return Promise.reject(this.#refused("begin", fault));
    return this.#step(options, (state) => {
      if (state === undefined) throw this.#refused("begin", "there is no stable value yet, `set` one");
      if (state.candidate !== null) {
        throw this.#refused("begin", `the rollout of generation ${state.candidate.since} is under way`);
      }
      const generation = state.generation + 1;
      return {
        ...state,
        generation,
        candidate: { value, stages, stage: 0, isPaused: false, since: generation },
      };
    });
  }

  /** On to the next stage; behind the last one, the candidate is the stable value. */
  promote(options: StepOptions = {}): Promise<RolloutState> {
    return this.#stepOn("promote", options, (candidate) => {
      if (candidate.isPaused) throw this.#refused("promote", "it is paused, `resume` it first");
      const stage = candidate.stage + 1;
      return stage < candidate.stages.length ? { ...candidate, stage } : "stable";
    });
  }

  /** Who has the candidate keeps it; it is promoted no further. */
  pause(options: StepOptions = {}): Promise<RolloutState> {
    return this.#stepOn("pause", options, (candidate) => ({ ...candidate, isPaused: true }));
  }

  resume(options: StepOptions = {}): Promise<RolloutState> {
    return this.#stepOn("resume", options, (candidate) => ({ ...candidate, isPaused: false }));
  }

  /** Everybody has the stable value again. */
  rollBack(options: StepOptions = {}): Promise<RolloutState> {
    return this.#stepOn("roll back", options, () => null);
  }

  #stepOn(
    action: string,
    options: StepOptions,
    next: (candidate: Candidate) => Candidate | null | "stable",
  ): Promise<RolloutState> {
    return this.#step(options, (state) => {
      const candidate = state?.candidate;
      if (state === undefined || candidate === undefined || candidate === null) {
        throw this.#refused(action, "there is no rollout under way");
      }
      const after = next(candidate);
      const generation = state.generation + 1;
      return after === "stable"
        ? { generation, stable: candidate.value, candidate: null }
        : { ...state, generation, candidate: after };
    });
  }

  async #step(
    { generation, signal }: StepOptions,
    next: (state: RolloutState | undefined) => RolloutState,
  ): Promise<RolloutState> {
    for (;;) {
      signal?.throwIfAborted();
      const found = await this.#read(signal);
      const present = found?.state.generation ?? 0;
      if (generation !== undefined && generation !== present) {
        const message = `Cannot change "${this.path}": expected generation ${generation}, it is ${present}`;
        throw new ZkError({ code: ZkErrorCode.BadVersion, message, path: this.path });
      }
      const state = next(found?.state);
      try {
        if (found === undefined) await this.#create(state, signal);
        else await this.#zk.set(this.path, json(state), { version: found.version, signal });
        return state;
      } catch (error) {
        // Somebody else's step came first: this one is decided again, on what that one has left.
        const isRace = ["BadVersion", "NodeExists", "NoNode"] as const;
        if (!isRace.some((name) => isZkError(error, name))) throw error;
      }
    }
  }

  async #create(state: RolloutState, signal: AbortSignal | undefined): Promise<void> {
    await this.#zk.createPath(parentOf(this.path), { signal });
    await this.#zk.create(this.path, json(state), { signal });
  }

  async #read(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly state: RolloutState; readonly version: number } | undefined> {
    const znode: Znode | undefined = await this.#zk.get(this.path, { signal }).catch(orMissing);
    if (znode === undefined) return undefined;
    return { state: await znode.json(stateSchema), version: znode.stat.version };
  }

  #refused(action: string, why: string): ZkError {
    const message = `Cannot ${action} the rollout at "${this.path}": ${why}`;
    return new ZkError({ code: ZkErrorCode.BadArguments, message, path: this.path });
  }
}

/**
 * The participant's side: a schema that makes of the znode's value what this participant has. Live with
 * `zk.config`.
 *
 * @param participant.schema - For the value itself. A candidate that it refuses leaves the participant with
 *   what it had, and says so in `fault`.
 * @example
 * using config = zk.config("/config/checkout", { schema: rolloutView({ key: hostname, ring: "canary" }) });
 * config.subscribe(({ value, isCandidate }) => apply(value, isCandidate));
 */
export function rolloutView<Value = unknown>(
  participant: Participant & { readonly schema?: Schema<Value> | undefined },
): Schema<RolloutView<Value>> {
  return schemaOf(async (raw) => {
    const state = parseState(raw);
    if (state === undefined) return { issues: [{ message: "it is no rollout" }] };
    const { generation } = state;
    const isCandidate = state.candidate !== null && hasCandidate(state.candidate, participant);
    const value = isCandidate ? state.candidate?.value : state.stable;
    // Without a schema the caller vouches for the type.
    if (participant.schema === undefined)
      return { value: { value: value as Value, generation, isCandidate } };
    const result = await participant.schema["~standard"].validate(value);
    return result.issues === undefined ? { value: { value: result.value, generation, isCandidate } } : result;
  });
}

/** Whether a participant has the candidate in the present stage. */
export function hasCandidate({ stages, stage, since }: Candidate, { key, ring }: Participant): boolean {
  const { percent = 0, rings = [] } = stages[stage] ?? {};
  return (ring !== undefined && rings.includes(ring)) || placeOf(since, key) < Math.round(percent * 100);
}

const places = 10_000;

/** A participant's place among all, 0 to 9,999, the same for ever in one rollout. */
export function placeOf(since: number, key: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${since}/${key}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % places;
}

/** What is wrong with stages, `undefined` when nothing is. */
export function stagesFault(stages: readonly Stage[]): string | undefined {
  if (stages.length < 1 || stages.length > stagesMax) return `${stages.length} stages, not 1 to ${stagesMax}`;
  let before: Stage = {};
  for (const [at, stage] of stages.entries()) {
    const { percent = 0, rings = [] } = stage;
    const isShare =
      percent >= 0 && percent <= 100 && Math.abs(percent * 100 - Math.round(percent * 100)) < 1e-6;
    if (!isShare) return `stage ${at} has ${percent} %, not 0 to 100 with two decimals`;
    if (percent < (before.percent ?? 0)) return `stage ${at} has a smaller share than the one before`;
    const missing = (before.rings ?? []).find((ring) => !rings.includes(ring));
    if (missing !== undefined) return `stage ${at} has not the ring "${missing}" of the one before`;
    before = stage;
  }
  return undefined;
}

const stateSchema: Schema<RolloutState> = schemaOf(async (raw) => {
  const state = parseState(raw);
  return state === undefined ? { issues: [{ message: "it is no rollout" }] } : { value: state };
});

function schemaOf<Value>(validate: Schema<Value>["~standard"]["validate"]): Schema<Value> {
  return { "~standard": { version: 1, vendor: "edgekeeper", validate } };
}

function parseState(raw: unknown): RolloutState | undefined {
  if (!isRecord(raw)) return undefined;
  const { generation, stable, candidate } = raw;
  if (!isCount(generation) || stable === undefined) return undefined;
  if (candidate === null) return { generation, stable, candidate };
  const parsed = parseCandidate(candidate);
  return parsed === undefined ? undefined : { generation, stable, candidate: parsed };
}

function parseCandidate(raw: unknown): Candidate | undefined {
  if (!isRecord(raw)) return undefined;
  const { value, stages, stage, isPaused, since } = raw;
  if (value === undefined || typeof isPaused !== "boolean" || !isCount(since)) return undefined;
  if (!Array.isArray(stages) || !stages.every(isStage) || stagesFault(stages) !== undefined) return undefined;
  if (typeof stage !== "number" || stages[stage] === undefined) return undefined;
  return { value, stages, stage, isPaused, since };
}

function isStage(raw: unknown): raw is Stage {
  if (!isRecord(raw)) return false;
  const { percent, rings } = raw;
  const isPercent = percent === undefined || typeof percent === "number";
  return (
    isPercent &&
    (rings === undefined || (Array.isArray(rings) && rings.every((ring) => typeof ring === "string")))
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}
