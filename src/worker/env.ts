/**
 * What the runtime hands to the Worker, as far as the Worker uses it.
 *
 * The namespace is described by what is called on it, not by the runtime's class, so that a test can
 * stand fake members behind it.
 *
 * @module
 */

import type { Settings } from "../base/index.ts";
import type { MemberApi } from "../objects/index.ts";
import type { Caller } from "./auth.ts";
import type { Ensemble } from "./ensemble.ts";

/** A member as the Worker knows it: without the doors that are for members alone. */
export type MemberStub = Omit<MemberApi, "exchange" | "joinEnsemble">;

export interface MemberNamespace {
  getByName(name: string, options?: { readonly retry?: { readonly maxRetries?: number } }): MemberStub;
}

export interface Env {
  readonly MEMBER: MemberNamespace;
  /** Settings, and whatever else the deployment binds. */
  readonly [variable: string]: unknown;
}

/** What Hono is told about the app: the middlewares fill the variables, in this order. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    settings: Settings;
    /** Only behind `requireCaller`. */
    caller: Caller;
    /** Only below `/v1/{ensemble}/`. */
    ensemble: Ensemble;
    /** What a member had applied when it answered, printed; for `Ek-Zxid`, whatever the answer is. */
    zxid: string | undefined;
    /** The answer is that of an earlier request with the same `Idempotency-Key`. */
    repeated: boolean | undefined;
  };
}
