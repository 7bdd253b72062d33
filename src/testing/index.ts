/**
 * For the tests of those who use the SDK: an ensemble in memory whose time stands still.
 *
 * @module
 */

export { type FakeConnectOptions, FakeEnsemble, type FakeOptions, fakeEnsemble } from "./fake.ts";
export { HeldClock } from "./held-clock.ts";
