/**
 * Whether one connection was told of every change it watched: once, in order, and before any data that shows it.
 *
 * A watch manager of its own, written from ZooKeeper's documentation and not from `src/tree`, walks through the
 * committed sequence. Every reply says how far its member stood; by then the events of everything up to there
 * must have come, exactly those, in that order (W1 to W5). `setWatches` after a reconnect is told what was
 * missed by comparing zxids (W4). Where the member lost its memory in between, it did the same by itself at a
 * moment nobody saw: then some such moment must explain what came (W6).
 *
 * @module
 */

import {
  AddWatchMode,
  EventType,
  formatZxid,
  OpCode,
  parentOf,
  type SetWatchesRequest,
  ZERO_ZXID,
  ZkErrorCode,
  type Zxid,
  zxidFromBigint,
  zxidToBigint,
} from "../../../src/base/index.ts";
import { violate } from "../violation.ts";
import { changesOf, type Story } from "./story.ts";
import type { EventItem, ReplyItem, Stream } from "./streams.ts";

interface Registration {
  data: boolean;
  child: boolean;
  persistent: boolean;
  recursive: boolean;
}

type Registrations = Map<string, Registration>;

interface Told {
  readonly type: number;
  readonly path: string;
  readonly zxid: Zxid | undefined;
}

export function checkWatches(story: Story, stream: Stream): void {
  let watches: Registrations = new Map();
  let place = story.countThrough(stream.floor);
  /** Events since the last reply, cut where the member lost its memory. */
  let heard: EventItem[][] = [[]];
  for (const item of stream.items) {
    if (item.kind === "event") heard.at(-1)?.push(item);
    else if (item.kind === "slept") heard.push([]);
    else if (item.request.type === OpCode.Auth || item.request.type === OpCode.Sasl) continue;
    else {
      const through = Math.max(place, story.countThrough(item.zxid));
      const missed = isSetWatches(item)
        ? catchUp(story, registrationsOf(item.request), through, item.request.relativeZxid)
        : [];
      const after = explain(story, watches, place, through, heard, missed);
      if (after === undefined) {
        const who = `client ${stream.client} by ${formatZxid(item.zxid)}`;
        violate(
          nameOf(story, watches, place, through, heard),
          `${who}: ${describe(story, watches, place, through, heard, missed)}`,
        );
      }
      watches = after;
      place = through;
      heard = [[]];
      register(story, watches, item, through);
    }
  }
}

/** The registrations after what was heard, or `undefined` when no course of things explains it. */
function explain(
  story: Story,
  before: Registrations,
  from: number,
  to: number,
  heard: readonly (readonly EventItem[])[],
  missed: readonly Told[],
): Registrations | undefined {
  const [first = [], ...later] = heard;
  if (later.length === 0) {
    const watches = copyOf(before);
    const wanted = [...walk(story, watches, from, to), ...missed];
    return areEqual(wanted, first, missed.length) ? watches : undefined;
  }
  // The member fell asleep at some place, and was awake again at another.
  for (let slept = from; slept <= to; slept++) {
    const atSleep = copyOf(before);
    if (!areEqual(walk(story, atSleep, from, slept), first, 0)) continue;
    for (let awake = slept; awake <= to; awake++) {
      const [next = [], ...rest] = later;
      const wanted = catchUp(story, atSleep, awake, zxidToBigint(zxidAt(story, slept)));
      const told = next.slice(0, wanted.length);
      if (!areEqual(wanted, told, wanted.length)) continue;
      const kept = leftAfter(story, atSleep, awake, zxidToBigint(zxidAt(story, slept)));
      const after = explain(story, kept, awake, to, [next.slice(wanted.length), ...rest], missed);
      if (after !== undefined) return after;
    }
  }
  return undefined;
}

/** Fires through the txns of places `from` to `to`, and uses up what fires. */
function walk(story: Story, watches: Registrations, from: number, to: number): Told[] {
  const told: Told[] = [];
  if (watches.size === 0) return told;
  for (const { zxid, txn } of story.committed.slice(from, to)) {
    for (const { kind, path } of changesOf(txn)) {
      const type =
        kind === "created"
          ? EventType.NodeCreated
          : kind === "deleted"
            ? EventType.NodeDeleted
            : EventType.NodeDataChanged;
      const own = watches.get(path);
      let fires = own !== undefined && (own.data || own.persistent || own.recursive);
      if (kind === "deleted" && own?.child === true) fires = true;
      for (let up = path; !fires && up !== "/"; ) {
        up = parentOf(up);
        if (watches.get(up)?.recursive === true) fires = true;
      }
      if (own !== undefined) {
        own.data = false;
        if (kind === "deleted") own.child = false;
      }
      if (fires) told.push({ type, path, zxid });
      if (kind === "changed") continue;
      const parent = watches.get(parentOf(path));
      if (parent !== undefined && (parent.child || parent.persistent)) {
        parent.child = false;
        told.push({ type: EventType.NodeChildrenChanged, path: parentOf(path), zxid });
      }
    }
  }
  return told;
}

/** What `setWatches` tells at a place, to one who has seen everything through `seen`. */
function catchUp(story: Story, watches: Registrations, place: number, seen: bigint): Told[] {
  const told: Told[] = [];
  const add = (type: number, path: string): void => void told.push({ type, path, zxid: undefined });
  for (const [path, { data, child }] of watches) {
    const verdict = missedAt(story, path, place, seen);
    if (data && verdict.data !== undefined) add(verdict.data, path);
    if (child && verdict.child !== undefined) add(verdict.child, path);
  }
  return told;
}

function missedAt(
  story: Story,
  path: string,
  place: number,
  seen: bigint,
): { readonly data: number | undefined; readonly child: number | undefined } {
  const znode = story.at(path, zxidAt(story, place));
  const wasThere = story.at(path, zxidFromBigint(seen) ?? ZERO_ZXID) !== undefined;
  if (znode === undefined) {
    // One who watched for it to come has missed nothing.
    return { data: wasThere ? EventType.NodeDeleted : undefined, child: EventType.NodeDeleted };
  }
  if (!wasThere) return { data: EventType.NodeCreated, child: EventType.NodeChildrenChanged };
  return {
    data: zxidToBigint(znode.mzxid) > seen ? EventType.NodeDataChanged : undefined,
    child: zxidToBigint(znode.pzxid) > seen ? EventType.NodeChildrenChanged : undefined,
  };
}

/** What is still registered after {@link catchUp}. */
function leftAfter(story: Story, watches: Registrations, place: number, seen: bigint): Registrations {
  const left = copyOf(watches);
  for (const [path, registration] of left) {
    const verdict = missedAt(story, path, place, seen);
    if (verdict.data !== undefined) registration.data = false;
    if (verdict.child !== undefined) registration.child = false;
  }
  return left;
}

/** A reply that has left a watch behind. */
function register(story: Story, watches: Registrations, item: ReplyItem, place: number): void {
  const { request, err } = item;
  const at = (path: string): Registration => {
    const known = watches.get(path) ?? { data: false, child: false, persistent: false, recursive: false };
    watches.set(path, known);
    return known;
  };
  switch (request.type) {
    case OpCode.Exists:
      if (request.watch && (err === ZkErrorCode.Ok || err === ZkErrorCode.NoNode))
        at(request.path).data = true;
      return;
    case OpCode.GetData:
      if (request.watch && err === ZkErrorCode.Ok) at(request.path).data = true;
      return;
    case OpCode.GetChildren:
      if (request.watch && err === ZkErrorCode.Ok) at(request.path).child = true;
      return;
    case OpCode.AddWatch:
      if (err !== ZkErrorCode.Ok) return;
      if (request.mode === AddWatchMode.Persistent) at(request.path).persistent = true;
      else at(request.path).recursive = true;
      return;
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
      for (const [path, each] of leftAfter(story, registrationsOf(request), place, request.relativeZxid)) {
        const known = at(path);
        for (const key of ["data", "child", "persistent", "recursive"] as const) known[key] ||= each[key];
      }
      return;
    default:
  }
}

function registrationsOf(request: SetWatchesRequest): Registrations {
  const watches: Registrations = new Map();
  const add = (paths: readonly string[], key: keyof Registration): void => {
    for (const path of paths) {
      const known = watches.get(path) ?? { data: false, child: false, persistent: false, recursive: false };
      known[key] = true;
      watches.set(path, known);
    }
  };
  add(request.data, "data");
  add(request.exist, "data");
  add(request.child, "child");
  add(request.persistent, "persistent");
  add(request.persistentRecursive, "recursive");
  return watches;
}

function isSetWatches(item: ReplyItem): item is ReplyItem & { readonly request: SetWatchesRequest } {
  return item.request.type === OpCode.SetWatches || item.request.type === OpCode.SetWatches2;
}

function zxidAt(story: Story, place: number): Zxid {
  return story.committed[place - 1]?.zxid ?? ZERO_ZXID;
}

function copyOf(watches: Registrations): Registrations {
  return new Map([...watches].map(([path, each]) => [path, { ...each }]));
}

/** The last `loose` of the wanted ones may come in any order. */
function areEqual(wanted: readonly Told[], heard: readonly EventItem[], loose: number): boolean {
  if (wanted.length !== heard.length) return false;
  const strict = wanted.length - loose;
  for (let at = 0; at < strict; at++) if (keyOf(wanted[at]) !== keyOf(heard[at])) return false;
  const rest = wanted.slice(strict).map(keyOf).sort();
  return heard.slice(strict).map(keyOf).sort().join() === rest.join();
}

function keyOf(told: Told | EventItem | undefined): string {
  if (told === undefined) return "";
  return `${told.type} ${told.path} ${told.zxid === undefined ? "missed" : formatZxid(told.zxid)}`;
}

/** Which promise is broken: too few events, too many, or others. */
function nameOf(
  story: Story,
  watches: Registrations,
  from: number,
  to: number,
  heard: readonly (readonly EventItem[])[],
): string {
  if (heard.length > 1) return "W6";
  const wanted = walk(story, copyOf(watches), from, to).length;
  const came = heard.flat().filter(({ zxid }) => zxid !== undefined).length;
  if (came < wanted) return "W2";
  return came > wanted ? "W5" : "W4";
}

function describe(
  story: Story,
  watches: Registrations,
  from: number,
  to: number,
  heard: readonly (readonly EventItem[])[],
  missed: readonly Told[],
): string {
  const wanted = [...walk(story, copyOf(watches), from, to), ...missed].map(keyOf);
  return `wanted [${wanted.join("; ")}], heard [${heard.map((part) => part.map(keyOf).join("; ")).join(" | ")}]`;
}
