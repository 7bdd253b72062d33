/**
 * Proves when a client counts as silent: after the timeout that its member has granted, not before, and not because
 * nobody has read what it said.
 *
 * @module
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Silence } from "../../src/gateway/silence.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** @param length - Of the frame: with the flag of read-only servers, or without. */
function connectResponse(timeoutMs: number, length = 37, version = 0): Uint8Array {
  const frame = Buffer.alloc(4 + length);
  frame.writeInt32BE(length, 0);
  frame.writeInt32BE(version, 4);
  frame.writeInt32BE(timeoutMs, 8);
  return frame;
}

function watch(isRead: () => boolean = () => true): { readonly silence: Silence; readonly calls: number[] } {
  const calls: number[] = [];
  const silence = new Silence({ isRead, onSilent: () => calls.push(performance.now()) });
  silence.heard();
  return { silence, calls };
}

describe("Silence", () => {
  test.each([37, 36])("a client is silent shortly before its timeout is over (%i bytes)", (length) => {
    const { silence, calls } = watch();
    silence.fromMember([connectResponse(10_000, length)]);
    vi.advanceTimersByTime(9_899);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(calls).toHaveLength(1);
  });

  test("whoever pings a third of its timeout apart never is", () => {
    const { silence, calls } = watch();
    silence.fromMember([connectResponse(10_000)]);
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(3_333);
      silence.heard();
    }
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(9_899);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(calls).toHaveLength(1);
  });

  test("what is read between the two looks counts, and time begins anew", () => {
    const { silence, calls } = watch();
    silence.fromMember([connectResponse(10_000)]);
    vi.advanceTimersByTime(9_850);
    silence.heard();
    vi.advanceTimersByTime(9_899);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(calls).toHaveLength(1);
  });

  test("a client that is not read is not silent, and has its full time when it is again", () => {
    let isRead = false;
    const { silence, calls } = watch(() => isRead);
    silence.fromMember([connectResponse(10_000)]);
    vi.advanceTimersByTime(50_000);
    expect(calls).toEqual([]);
    isRead = true;
    vi.advanceTimersByTime(9_800);
    expect(calls).toHaveLength(1);
  });

  test("the answer may come in pieces", () => {
    const { silence, calls } = watch();
    const bytes = connectResponse(10_000);
    silence.fromMember([bytes.subarray(0, 3), bytes.subarray(3, 10)]);
    silence.fromMember([bytes.subarray(10)]);
    vi.advanceTimersByTime(9_900);
    expect(calls).toHaveLength(1);
  });

  test.each([
    ["a session that is refused", connectResponse(0)],
    ["a negative timeout", connectResponse(-1)],
    ["another length", connectResponse(10_000, 38)],
    ["another version", connectResponse(10_000, 37, 1)],
  ])("nobody is watched after %s", (_what, bytes) => {
    const { silence, calls } = watch();
    silence.fromMember([bytes, connectResponse(10_000)]);
    vi.advanceTimersByTime(100_000);
    expect(calls).toEqual([]);
  });

  test("a timeout shorter than the head start is halved", () => {
    const { silence, calls } = watch();
    silence.fromMember([connectResponse(100)]);
    vi.advanceTimersByTime(149);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(calls).toHaveLength(1);
  });

  test("once stopped it says nothing", () => {
    const { silence, calls } = watch();
    silence.fromMember([connectResponse(10_000)]);
    silence.stop();
    vi.advanceTimersByTime(100_000);
    expect(calls).toEqual([]);
  });
});
