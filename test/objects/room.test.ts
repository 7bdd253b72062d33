/**
 * Proves that a leader whose storage is nearly full refuses what would add to the tree, and nothing else.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { OPEN_ACL, Perms, type WriteRequest } from "../../src/base/index.ts";
import { databaseBytesMax, Room } from "../../src/objects/room.ts";
import { bytes, create, multi, remove, setAcl, setData } from "../tree/support.ts";
import { Leader } from "./support/leader.ts";

describe("room", () => {
  test("ends past its last byte, well below what the platform takes", () => {
    const database = { databaseSize: databaseBytesMax };
    let nowMs = 5_000;
    const room = new Room(database, () => nowMs);
    expect(room.isFull).toBe(false);
    database.databaseSize += 1;
    nowMs += 99;
    expect(room.isFull, "it looks ten times a second").toBe(false);
    nowMs += 1;
    expect(room.isFull).toBe(true);
    database.databaseSize -= 1;
    nowMs += 100;
    expect(room.isFull).toBe(false);
    // A GiB of log, as much put aside, and more than the checkpoint and the log that any load has.
    expect(databaseBytesMax + 2 * 2 ** 30 + 256 * 2 ** 20).toBeLessThan(10e9);
  });
});

describe("a leader without room", () => {
  const longAcl = [...OPEN_ACL, { scheme: "ip", id: "1.2.3.4", perms: Perms.All }];

  function outcomes(isFull: boolean, requests: readonly WriteRequest[]): string[] {
    const room = { isFull: false };
    const leader = new Leader({ room });
    for (const path of ["/a", "/b", "/c"]) leader.submit(create(path, { data: bytes("12345") }));
    leader.writes.flush();
    leader.settle();
    room.isFull = isFull;
    const settled = requests.map((request) => leader.submit(request));
    leader.writes.flush();
    leader.settle();
    return settled.flat().map((one) => (one.kind === "lost" ? "lost" : one.applied.outcome.kind));
  }

  const adding = [
    create("/d"),
    setData("/a", bytes("123456")),
    setAcl("/a", longAcl),
    multi(remove("/b"), create("/b")),
    multi(setData("/b", bytes("123456"))),
  ];
  const others = [
    setData("/a", bytes("54321")),
    setData("/a", null),
    remove("/c"),
    setAcl("/a", [...OPEN_ACL]),
    multi(setData("/b", bytes("1")), remove("/b")),
  ];

  test("refuses what adds to the tree, also within a multi", () => {
    const refusals = ["refused", "refused", "refused", "multiRefused", "multiRefused"];
    expect(outcomes(true, adding)).toEqual(refusals);
    expect(outcomes(false, adding)).toEqual(adding.map(() => "done"));
  });

  test("takes everything else", () => {
    expect(outcomes(true, others)).toEqual(others.map(() => "done"));
  });
});
