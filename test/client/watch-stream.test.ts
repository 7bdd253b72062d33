/**
 * Proves that a stream's loop misses nothing and sees nothing twice, whatever breaks: over a scripted `fetch`.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { isZkError, type StreamEvent, type WatchStreamOptions, watchStream } from "../../src/client/index.ts";
import type { Clock } from "../../src/client/transport.ts";

const target = "http://127.0.0.1:8787/v1/main";

/** Pauses are over at once; a silence of its connection is declared by hand. */
class TestClock implements Clock {
  readonly pauses: number[] = [];
  #silences = new Map<object, () => void>();

  now = () => 0;
  random = () => 1;

  setTimer(run: () => void, ms: number): unknown {
    const timer = {};
    if (ms > 30_000) this.#silences.set(timer, run);
    else {
      this.pauses.push(ms);
      setImmediate(run);
    }
    return timer;
  }

  clearTimer(timer: unknown): void {
    this.#silences.delete(timer as object);
  }

  fallSilent(): void {
    for (const run of [...this.#silences.values()]) run();
  }
}

type Script =
  | readonly (string | "silence" | "break")[]
  | { readonly status: number; readonly problem: object };

/** Serves one script a connection, in chunks as they are; after the last the loop is left. */
async function play(scripts: readonly Script[], options: WatchStreamOptions = {}, path = "/a/**") {
  const clock = new TestClock();
  const abort = new AbortController();
  const asked: { url: string; headers: unknown }[] = [];
  const open = async (url: string, init: RequestInit): Promise<Response> => {
    const script = scripts[asked.length];
    asked.push({ url: url.slice(target.length), headers: init.headers });
    if (script === undefined) {
      abort.abort();
      throw new Error("over");
    }
    if ("status" in script) return Response.json(script.problem, { status: script.status });
    const chunks = [...script];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else if (chunk === "break") controller.error(new Error("broken"));
        else if (chunk === "silence") setImmediate(() => clock.fallSilent());
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
    });
    return new Response(body);
  };
  const events: StreamEvent[] = [];
  const stream = watchStream(target, path, { ...options, fetch: open, clock, signal: abort.signal });
  for await (const event of stream) events.push(event);
  return { events, asked, clock };
}

const subscribed = (zxid: string) =>
  `retry: 1000\n\nevent: subscribed\nid: ${zxid}\ndata: {"zxid":"${zxid}"}\n\n`;
const change = (zxid: string, path: string, isLast = true) =>
  `event: changed\n${isLast ? `id: ${zxid}\n` : ""}data: {"zxid":"${zxid}","kind":"changed","path":"${path}"}\n\n`;
const pathsOf = (events: readonly StreamEvent[]) =>
  events.map((event) => ("path" in event ? event.path : event.kind));

describe("watchStream()", () => {
  test("goes on behind the last txn that was told in full, wherever a connection breaks", async () => {
    const whole = subscribed("0x1") + change("0x2", "/a") + change("0x3", "/b", false) + change("0x3", "/c");
    const ends = { "0x1": ["/a", "/b", "/c"], "0x2": ["/b", "/c"], "0x3": [] } as const;
    for (let at = subscribed("0x1").length; at <= whole.length; at++) {
      const first = await play([[whole.slice(0, at), "break"]]);
      const since = new URL(first.asked[1]?.url ?? "", "http://h/").searchParams.get("since") ?? "";
      const rest = ends[since as keyof typeof ends];
      expect([at, ...pathsOf(first.events), ...rest]).toEqual([at, "/a", "/b", "/c"]);
    }
  });

  test("reads events however they are cut into chunks, characters included", async () => {
    const whole = new TextEncoder().encode(subscribed("0x1") + change("0x2", "/ż🦍"));
    const halves = [whole.slice(0, whole.length - 9), whole.slice(whole.length - 9)];
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const half of halves) for (const byte of half) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const stream = watchStream(target, "/ż🦍", { fetch: async () => new Response(body) });
    expect((await stream.next()).value).toMatchObject({ kind: "changed", path: "/ż🦍" });
    await stream.return();
  });

  test("asks for what was asked for, with the token in a header", async () => {
    const options = { token: "secret", values: true, scope: "subtree", since: "0x7" } as const;
    const { asked } = await play([], options, "/a b/*");
    expect(asked).toEqual([
      {
        url: "/watch/a%20b/*?scope=subtree&with=value&since=0x7",
        headers: { Authorization: "Bearer secret" },
      },
    ]);
  });

  test("passes on what there is, and that changes were left out; keeps to itself how far it is", async () => {
    const told = [
      subscribed("0x1"),
      'event: compacted\nid: 0x5\ndata: {"since":"0x1","zxid":"0x5","znodes":[],"more":false}\n\n',
      'event: progress\nid: 0x6\ndata: {"zxid":"0x6"}\n\n: heartbeat\n\n',
      'event: coalesced\ndata: {"events":9,"kept":1,"after":"0x6","through":"0x9"}\n\n',
      change("0x9", "/a"),
      'event: ended\ndata: {"reason":"no longer in touch with a leader"}\n\n',
    ];
    const { events, asked } = await play([told, [change("0xa", "/b")]]);
    expect(events).toMatchObject([
      { kind: "compacted", zxid: "0x5", more: false },
      { kind: "coalesced", events: 9, kept: 1 },
      { kind: "changed", path: "/a" },
      { kind: "changed", path: "/b" },
    ]);
    expect(asked.map(({ url }) => url.split("?")[1])).toEqual([undefined, "since=0x9", "since=0xa"]);
  });

  test("leaves a connection that is silent for longer than the heartbeat", async () => {
    const { events, asked } = await play([[subscribed("0x1"), "silence"], [change("0x2", "/a")]]);
    expect(pathsOf(events)).toEqual(["/a"]);
    expect(asked).toHaveLength(3);
  });

  test("waits longer from failure to failure, and not after a success", async () => {
    const busy = { status: 503, problem: { detail: "Cannot watch: no leader was reached" } };
    const failures = Array.from({ length: 7 }, () => busy);
    const { clock } = await play([...failures, [subscribed("0x1")], busy]);
    const doubling = [500, 1000, 2000, 4000, 8000, 15_000, 15_000];
    expect(clock.pauses.filter((ms) => ms <= 15_000).slice(0, 9)).toEqual([...doubling, 500, 1000]);
  });

  test.each([
    [403, { code: -102, detail: 'Cannot watch "/a": its ACL does not allow it', path: "/a" }, "NoAuth"],
    [401, { code: -115, detail: "Cannot authenticate" }, "AuthFailed"],
    [412, { detail: "Nothing as late is committed" }, "BadVersion"],
    [400, { code: -8, detail: "Cannot read the query" }, "BadArguments"],
    [404, {}, "BadArguments"],
  ])("throws what another attempt would not change: %i", async (status, problem, codeName) => {
    const failed = await play([{ status, problem }]).catch((error: unknown) => error);
    expect(isZkError(failed, codeName as "NoAuth")).toBe(true);
  });

  test("ends with its signal, and asks no more", async () => {
    const { events, asked } = await play([], { since: "0x1" });
    expect([events, asked.length]).toEqual([[], 1]);
  });
});
