/** What leaves an object that loses its power, and what its storage keeps: one goes with the other. */

import { describe, expect, test } from "vitest";
import { makeServerId } from "../../../src/base/index.ts";
import { type Fate, Instance, Platform } from "./platform.ts";

const id = makeServerId(1);

/** An object that has written 1, 2 and 3 in turns of their own, of which each told it. */
function written() {
  const fate = { now: 0, wrote: () => {} } as unknown as Fate;
  const host = new Platform(fate, [id], {}).host(id);
  const instance = new Instance(host);
  host.live = instance;
  const left: number[] = [];
  host.store.exec("CREATE TABLE story (line INTEGER)", []);
  host.store.endTurn();
  host.store.confirm(1);
  for (const line of [1, 2, 3]) {
    host.store.exec("INSERT INTO story VALUES (?)", [line]);
    instance.leave(() => left.push(line));
    host.store.endTurn();
  }
  const kept = () => host.store.read("SELECT line FROM story ORDER BY line").map(({ line }) => line);
  return { host, instance, left, kept };
}

describe("an object that loses its power", () => {
  test.each([
    [0, []],
    [2, [1, 2]],
    [3, [1, 2, 3]],
  ])("after %d writes has told of those at most", (survive, lines) => {
    const { host, instance, left, kept } = written();
    host.crash(survive, true);
    expect({ left, kept: kept() }).toEqual({ left: lines, kept: lines });
    expect([instance.isAlive, host.live, host.store.pending]).toEqual([false, undefined, 0]);
    host.store.close();
  });

  test("has told of those that were confirmed before, and may have told of no more", () => {
    const { host, instance, left, kept } = written();
    host.store.confirm(1);
    instance.release();
    host.crash(1, false);
    expect({ left, kept: kept() }).toEqual({ left: [1], kept: [1, 2] });
    host.store.close();
  });
});
