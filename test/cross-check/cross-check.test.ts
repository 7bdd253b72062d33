/**
 * Proves that the cross-check sees what it is there to see: scripts that reach every operation, lines that
 * change with every field, explanations that cover no more than they say, and a shrinker that shrinks.
 *
 * The servers are not needed for that; `npm run cross-check` has them.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { EventType, type MultiOp, OPEN_ACL, OpCode } from "../../src/base/index.ts";
import { encodeEvent, encodeReply, JuteWriter } from "../../src/jute/index.ts";
import type { Difference, Played } from "./check.ts";
import { describeEvent, describeReply } from "./describe.ts";
import { explain, explanations } from "./explained.ts";
import { generateScript } from "./generate.ts";
import { Names } from "./names.ts";
import type { ScriptRequest, Step } from "./script.ts";
import { shrink } from "./shrink.ts";

function scripts(seed: number, count: number): Step[][] {
  return Array.from({ length: count }, (_, number) =>
    generateScript(seed, number, { requests: 150, isEnsemble: true }),
  );
}

function requestStep(...requests: ScriptRequest[]): Step {
  return { kind: "requests", client: 0, requests };
}

const options = { requests: 100, isEnsemble: false };

describe("scripts", () => {
  test("are the same for a seed and number, and differ otherwise", () => {
    expect(generateScript(7, 3, options)).toEqual(generateScript(7, 3, options));
    expect(generateScript(7, 3, options)).not.toEqual(generateScript(7, 4, options));
    expect(generateScript(7, 3, options)).not.toEqual(generateScript(8, 3, options));
  });

  test("reach every operation that a client may send, and every kind of step", () => {
    const steps = scripts(1, 120).flat();
    const types = new Set(
      steps.flatMap((step) => (step.kind === "requests" ? step.requests.map(({ type }) => type) : [])),
    );
    const notSent: number[] = [OpCode.Ping, OpCode.Check, OpCode.Error];
    const internal: number[] = [OpCode.DeleteContainer, OpCode.CreateSession];
    const wanted = Object.values(OpCode).filter(
      (type) => ![...notSent, ...internal].includes(type) && type < 1000,
    );
    expect(wanted.filter((type) => !(types as Set<number>).has(type)).filter((type) => type > -12)).toEqual(
      [],
    );
    expect(new Set(steps.map(({ kind }) => kind))).toEqual(
      new Set(["connect", "cut", "expire", "requests", "frame", "bytes", "ping"]),
    );
  });

  test("hold no txn that ZooKeeper dies of: a createTTL without a TTL mode", () => {
    const requests = scripts(2, 200)
      .flat()
      .flatMap((step) => (step.kind === "requests" ? step.requests : []));
    const ops = requests.flatMap((request): readonly (MultiOp | ScriptRequest)[] =>
      request.type === OpCode.Multi ? request.ops : [request],
    );
    const ttl = ops.filter((op) => "ttlMs" in op).filter(({ type }) => type === OpCode.CreateTtl);
    expect(ttl.length).toBeGreaterThan(100);
    expect(ttl.filter(({ flags }) => flags >= 0 && flags < 5)).toEqual([]);
  });
});

describe("a line", () => {
  const stat = {
    czxid: { epoch: 0, counter: 5 },
    mzxid: { epoch: 0, counter: 6 },
    pzxid: { epoch: 0, counter: 7 },
    ctime: 1000,
    mtime: 2000,
    version: 1,
    cversion: 2,
    aversion: 3,
    ephemeralOwner: 9n as never,
    dataLength: 4,
    numChildren: 5,
  };

  function lineOf(change: object, names = fresh(), tail: readonly number[] = []): string {
    const writer = new JuteWriter();
    const body = { kind: "stat", stat: { ...stat, ...change } } as const;
    encodeReply(writer, { xid: 1, zxid: 8n, err: 0, body });
    return describeReply(OpCode.Exists, new Uint8Array([...writer.take().subarray(4), ...tail]), names);
  }

  function fresh(): Names {
    const names = new Names();
    names.begin(4n);
    names.addSession(9n);
    names.time(5n, 1000n);
    names.time(6n, 2000n);
    return names;
  }

  test("names what the server made up", () => {
    expect(lineOf({})).toBe(
      "xid=1 zxid=+4 err=0 {czxid=+1 mzxid=+2 pzxid=+3 ctime=ok mtime=ok version=1 cversion=2 aversion=3 " +
        "owner=session 1 length=4 children=5}",
    );
  });

  test.each([
    { czxid: { epoch: 0, counter: 6 } },
    { mzxid: { epoch: 0, counter: 7 } },
    { pzxid: { epoch: 1, counter: 7 } },
    { ctime: 1001 },
    { mtime: 2001 },
    { version: 2 },
    { cversion: -1 },
    { aversion: 4 },
    { ephemeralOwner: 8n },
    { dataLength: 5 },
    { numChildren: 0 },
  ])("changes with %o", (change) => {
    expect(lineOf(change)).not.toBe(lineOf({}));
  });

  test("shows bytes behind the record", () => {
    expect(lineOf({}, fresh(), [0])).toBe(`${lineOf({})} + "0x00"`);
  });

  test("does not count a txn that only one server has", () => {
    const names = fresh();
    names.skip(6n);
    expect(lineOf({}, names)).toContain("zxid=+3 err=0 {czxid=+1 mzxid=+1 pzxid=+2");
  });

  test("of an event has its zxid, type, state and path", () => {
    const writer = new JuteWriter();
    encodeEvent(writer, { type: EventType.NodeCreated, path: "/a" }, 5n);
    expect(describeEvent(writer.take().subarray(4), fresh())).toBe(
      'event zxid=+1 err=0 type=1 state=3 path="/a"',
    );
  });
});

describe("explanations", () => {
  const sync = requestStep({ type: OpCode.Sync, path: "/\u{1f600}" });
  const replay = requestStep({
    type: OpCode.SetWatches,
    relativeZxid: 0n,
    data: ["/a"],
    exist: [],
    child: [],
    persistent: [],
    persistentRecursive: [],
  });
  const number = requestStep({ type: OpCode.GetAllChildrenNumber, path: "/" });
  const nothing: Step = {
    kind: "frame",
    client: 0,
    bytes: new Uint8Array([0, 0, 0, 1, 0, 0, 0, 104, 0, 0, 0, 0]),
  };
  const ping: Step = { kind: "ping", client: 0 };
  const config = requestStep({ type: OpCode.GetData, path: "/zookeeper/config", watch: false });
  const protect = requestStep(
    { type: OpCode.SetAcl, path: "/a", acl: [], version: -1 },
    { type: OpCode.Delete, path: "/a/b", version: -1 },
  );
  const frame: Step = { kind: "frame", client: 0, bytes: new Uint8Array(8) };
  const create = { type: OpCode.Create, path: "/a", data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 } as const;
  const burst = requestStep(create, create);
  const [full, made] = ["xid=2 zxid=+2 err=-125", 'xid=2 zxid=+2 err=0 "/a/b"'];
  const multi = (...parts: string[]) => [`xid=2 zxid=+2 err=0 [${parts.join("; ")}] end type=-1 err=-1`];
  const [hard, ok, behind] = ["type=-1 err=-125 -125", "type=-1 err=0 0", "type=-1 err=-2 -2"];
  const event = 'event zxid=-1 err=0 type=3 state=3 path="/a"';

  test.each<[string, Step, string[], string[]]>([
    ["a character", sync, ['"/\u{1f600}"'], [`"/${"\ufffd".repeat(6)}"`]],
    ["a zxid more", frame, ["xid=1 zxid=+2 err=-5"], ["xid=1 zxid=+3 err=-5"]],
    ["a configuration", config, [`"0x7365727665722e31" {length=config}`], [`"''" {length=0}`]],
    ["an older ping", ping, ["xid=-2 zxid=+2 err=0"], ["xid=-2 zxid=+3 err=0"]],
    ["a new ACL", protect, ["xid=1 err=0", "xid=2 err=-102"], ["xid=1 err=0", "xid=2 err=-110"]],
    ["an empty path", nothing, ["xid=1 zxid=+1 err=0 3"], ["xid=1 zxid=+1 err=0 4"]],
    ["an event, then a zxid more", frame, [event, "xid=1 zxid=+2 err=-5"], [event, "xid=1 zxid=+3 err=-5"]],
    ["a smaller number", number, ["xid=1 zxid=+1 err=0 3"], ["xid=1 zxid=+1 err=0 4"]],
    ["a hard limit behind a create", burst, ["xid=1 err=0", full], ["xid=1 err=0", made]],
    ["a hard limit that a delete has made room under", burst, [made], [full]],
    ["a hard limit at another part", burst, multi(ok, hard, behind), multi(hard, behind, behind)],
    ["an event less", replay, ["xid=1 zxid=+1 err=0"], [event, "xid=1 zxid=+1 err=0"]],
  ])("cover %s", (_title, step, ours, theirs) => {
    expect(explain(step, ours, theirs)).toBeDefined();
  });

  test.each<[string, Step, string[], string[]]>([
    ["another character", sync, ['"/\u{1f600}b"'], [`"/${"\ufffd".repeat(6)}"`]],
    ["two zxids more", frame, ["xid=1 zxid=+2 err=-5"], ["xid=1 zxid=+4 err=-5"]],
    ["a zxid more elsewhere", sync, ["xid=1 zxid=+2 err=-5"], ["xid=1 zxid=+3 err=-5"]],
    ["a much smaller number", nothing, ["xid=1 zxid=+1 err=0 3"], ["xid=1 zxid=+1 err=0 5"]],
    ["an older answer", ping, ["xid=2 zxid=+2 err=0"], ["xid=2 zxid=+3 err=0"]],
    ["another znode's data", sync, [`"0x7365727665722e31" {length=config}`], [`"''" {length=0}`]],
    ["another configuration", config, [`"0x00" {length=config}`], [`"''" {length=0}`]],
    ["another error behind a new ACL", protect, ["xid=2 err=-101"], ["xid=2 err=-110"]],
    ["a refusal without a new ACL", sync, ["xid=2 err=-102"], ["xid=2 err=-110"]],
    ["a greater number", number, ["xid=1 zxid=+1 err=0 5"], ["xid=1 zxid=+1 err=0 4"]],
    ["a number of something else", replay, ["xid=1 zxid=+1 err=0 3"], ["xid=1 zxid=+1 err=0 4"]],
    ["a hard limit and another error", burst, ["xid=2 err=-101"], ["xid=2 err=-110"]],
    ["a hard limit behind nothing", requestStep(create), [full], [made]],
    ["a hard limit at the same part", burst, multi(ok, hard, behind), multi(ok, hard, ok)],
    ["an event more", replay, [event, "xid=1 zxid=+1 err=0"], ["xid=1 zxid=+1 err=0"]],
    ["a live event less", replay, [], ['event zxid=+5 err=0 type=3 state=3 path="/a"']],
  ])("do not cover %s", (_title, step, ours, theirs) => {
    expect(explain(step, ours, theirs)).toBeUndefined();
  });

  test("have a title each", () => {
    expect(new Set(explanations.map(({ title }) => title)).size).toBe(explanations.length);
  });
});

test("shrink() keeps the two requests that it takes", async () => {
  const remove = (path: string) => ({ type: OpCode.Delete, path, version: -1 }) as const;
  const create = { type: OpCode.Create, path: "/a", data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 } as const;
  const noise = Array.from({ length: 40 }, (_, count) => requestStep(remove(`/${count}`), remove("/x")));
  const script = [...noise.slice(0, 20), requestStep(remove("/x"), create), ...noise.slice(20)];
  script.push(requestStep(remove("/y"), remove("/a"), remove("/z")), ...noise);

  /** They differ in the delete of /a once it has been created. */
  async function play(steps: readonly Step[]): Promise<Played> {
    let isThere = false;
    for (const step of steps) {
      for (const request of step.kind === "requests" ? step.requests : []) {
        if (request.type === OpCode.Create) isThere = true;
        if (request.type !== OpCode.Delete || request.path !== "/a" || !isThere) continue;
        const difference: Difference = {
          script: steps,
          step,
          ours: ["xid=1 err=0"],
          theirs: ["xid=1 err=-101"],
        };
        return { difference, steps: [], said: [], explained: [] };
      }
    }
    return { difference: undefined, steps, said: [], explained: [] };
  }

  const { difference } = await play(script);
  const shrunk = await shrink(difference as Difference, play);
  expect(shrunk.script).toEqual([requestStep(create), requestStep(remove("/a"))]);
});
