/**
 * Proves that the lists of an assignment, at their largest, fit into one request, and say what was put in.
 *
 * @module
 */

import { expect, test } from "vitest";
import { Znode } from "../../src/client/index.ts";
import {
  listText,
  nameBytesMax,
  parseList,
  parseTask,
  tasksMax,
  workersMax,
} from "../../src/recipes/tasks.ts";

const stat = {
  czxid: 1n,
  mzxid: 1n,
  pzxid: 1n,
  ctime: 0,
  mtime: 0,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n,
  dataLength: 0,
  numChildren: 0,
};

function znode(text: string): Znode {
  return new Znode("/x", new TextEncoder().encode(text), stat);
}

test("all tasks, with the longest names, and all workers' paths fit into one request", () => {
  const longest = "x".repeat(nameBytesMax - 2);
  const names = Array.from({ length: tasksMax }, (_, at) => `${at}`.padStart(longest.length, "x"));
  const all = listText(new Map(names.map((name) => [name, 0x7fff_ffff_ffff_ffffn])));
  // Of each worker: its path, its list's frame, and what a multi adds.
  const workers = workersMax * (nameBytesMax + 500);
  expect(all.length + workers).toBeLessThan(1024 * 1024);
});

test("a list is read as it was written, whatever the names", () => {
  const list = new Map([
    ["a", 1n],
    ['"quoted"', 0x1_0000_0000n],
    ["__proto__", 2n],
    ["\u00e9", 3n],
  ]);
  expect(parseList(znode(listText(list)))).toEqual(list);
});

test.each(["", "{", "null", "[]", '{"tasks":1}', '{"tasks":{"a":1,"b":"0xg","c":"-0x1"}}'])(
  "a list that nobody wrote is empty: %j",
  (text) => {
    expect(parseList(znode(text)).size).toBe(0);
  },
);

test("a task is read as it was written; what is none is refused", () => {
  expect(parseTask(znode('{"weight":3,"data":"x"}'))).toEqual({ weight: 3, data: "x" });
  for (const text of ["", "x", "{}", '{"weight":0,"data":""}', '{"weight":1}']) {
    expect(parseTask(znode(text))).toBeUndefined();
  }
});
