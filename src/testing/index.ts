/**
 * For the tests of those who use the SDK: an ensemble in memory whose time stands still, and a real one on this
 * machine that can be taken apart.
 *
 * @module
 */

export { type FakeConnectOptions, FakeEnsemble, type FakeOptions, fakeEnsemble } from "./fake.ts";
export { HeldClock } from "./held-clock.ts";
export {
  type EnsembleOptions,
  LocalEnsemble,
  type MemberState,
  startEnsemble,
} from "./local-ensemble.ts";
