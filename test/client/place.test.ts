/**
 * Proves that a taking ends with one place or with none, whatever is lost on the way, and that giving up goes on while
 * the session lives.
 *
 * A scripted server has the ephemerals of one folder. The test says which requests arrive, which of their answers are
 * lost, and when time moves.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { assert, OpCode, ZkErrorCode } from "../../src/base/index.ts";
import { Chroot } from "../../src/client/chroot.ts";
import { Client } from "../../src/client/client.ts";
import { leave, type Place, takeNamed, takeNumbered } from "../../src/client/place.ts";
import { HeldClock, settled } from "../../src/testing/held-clock.ts";
import { ScriptedServer, type ScriptedWire } from "./scripted-server.ts";

const firstSession = 7n;
const secondSession = 8n;
const operationMsMax = 10_000;
/** After which a client that was cut off has tried to connect again. */
const reconnectMs = 6_000;

const kinds = {
  numbered: (zk: Client, signal?: AbortSignal) =>
    takeNumbered(zk, "/q", (mark) => `${mark}-n-`, "owner", signal),
  named: (zk: Client, signal?: AbortSignal) => takeNamed(zk, "/q/claim", signal),
};

/** The server: its ephemerals, and the connection that is open. */
class Stage {
  readonly server = new ScriptedServer();
  readonly clock = new HeldClock();
  readonly zk: Client;
  readonly znodes = new Map<string, { readonly data: Uint8Array; readonly owner: bigint }>();
  readonly served: OpCode[] = [];
  #session = firstSession;
  #number = 0;

  constructor() {
    this.zk = new Client({
      transport: this.server,
      clock: this.clock,
      chroot: new Chroot("/"),
      sessionTimeoutMs: 40_000,
      operationMsMax,
      credentials: [],
    });
  }

  async open(session = firstSession): Promise<void> {
    this.#session = session;
    await this.server.wire.accept({ id: session, timeoutMs: 40_000 });
  }

  /** The connection breaks, with what the client has sent and nobody served. */
  cut(): Promise<void> {
    return this.server.wire.break();
  }

  /** The client finds the server again: the same session. */
  async back(): Promise<void> {
    await this.clock.advance(reconnectMs);
    await this.open();
    await this.serve();
  }

  /** The server has ended the session meanwhile; the client has another one now. */
  async backExpired(): Promise<void> {
    for (const [path, { owner }] of this.znodes) if (owner === firstSession) this.znodes.delete(path);
    await this.clock.advance(reconnectMs);
    await this.server.wire.accept({ timeoutMs: 0 });
    await this.clock.advance(reconnectMs);
    await this.open(secondSession);
    await this.serve();
  }

  /** Serves and answers everything, and what that leads to. */
  async serve(): Promise<void> {
    const { wire } = this.server;
    await settled();
    while (wire.seen.length > 0) await this.#answer(wire);
  }

  /** Serves and answers what comes before a request of that type. */
  async serveUntil(type: OpCode): Promise<void> {
    const { wire } = this.server;
    await settled();
    while (wire.seen[0]?.request.type !== type) await this.#answer(wire);
  }

  /** Serves the oldest request; the connection breaks before its answer is there. */
  async serveUnheard(): Promise<void> {
    await settled();
    const [seen] = this.server.wire.seen;
    assert(seen !== undefined, "there is a request to serve");
    this.#apply(seen.request);
    await this.cut();
  }

  async #answer(wire: ScriptedWire): Promise<void> {
    const [seen] = wire.seen;
    assert(seen !== undefined, "there is a request to serve");
    const { body, err } = this.#apply(seen.request);
    await wire.reply(body, { err });
  }

  #apply(request: ScriptedWire["seen"][number]["request"]) {
    this.served.push(request.type);
    const refuse = (err: ZkErrorCode) => ({ body: undefined, err });
    const answer = (body: Parameters<ScriptedWire["reply"]>[0]) => ({ body, err: 0 });
    switch (request.type) {
      case OpCode.Sync:
        return answer({ kind: "path", path: request.path });
      case OpCode.Create2: {
        this.#number += 1;
        const number = request.flags === 3 ? String(this.#number).padStart(10, "0") : "";
        const path = `${request.path}${number}`;
        if (this.znodes.has(path)) return refuse(ZkErrorCode.NodeExists);
        this.znodes.set(path, { data: request.data ?? new Uint8Array(0), owner: this.#session });
        return answer({ kind: "create2", path, stat: this.#stat(path) });
      }
      case OpCode.GetChildren2: {
        const children = [...this.znodes.keys()].map((path) => path.slice("/q/".length));
        return answer({ kind: "children2", children, stat: this.#stat("/q") });
      }
      case OpCode.Exists:
        if (!this.znodes.has(request.path)) return refuse(ZkErrorCode.NoNode);
        return answer({ kind: "stat", stat: this.#stat(request.path) });
      case OpCode.GetData: {
        const znode = this.znodes.get(request.path);
        if (znode === undefined) return refuse(ZkErrorCode.NoNode);
        return answer({ kind: "data", data: znode.data, stat: this.#stat(request.path) });
      }
      case OpCode.Delete:
        return this.znodes.delete(request.path) ? answer(undefined) : refuse(ZkErrorCode.NoNode);
      default:
        throw new Error(`nobody asks for ${request.type} here`);
    }
  }

  #stat(path: string) {
    const zxid = { epoch: 1, counter: 2 };
    return {
      ...{ czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: 5, mtime: 6 },
      ...{ version: 0, cversion: 0, aversion: 0, dataLength: 1, numChildren: 0 },
      ephemeralOwner: (this.znodes.get(path)?.owner ?? 0n) as never,
    };
  }
}

interface Outcome {
  place?: Place;
  error?: unknown;
}

function outcomeOf(promise: Promise<Place>): Outcome {
  const outcome: Outcome = {};
  promise.then(
    (place) => Object.assign(outcome, { place }),
    (error: unknown) => Object.assign(outcome, { error }),
  );
  return outcome;
}

async function begin(): Promise<Stage> {
  const stage = new Stage();
  await stage.open();
  return stage;
}

describe.each(Object.entries(kinds))("a %s place", (_kind, takePlace) => {
  test("is taken, and left", async () => {
    const stage = await begin();
    const { zk, znodes } = stage;
    const taking = outcomeOf(takePlace(zk));
    await stage.serve();
    expect([...znodes.keys()]).toEqual([taking.place?.path]);
    void leave(zk, () => taking.place?.remove() ?? Promise.reject());
    await stage.serve();
    expect(znodes.size).toBe(0);
  });

  test("whose create was applied, and its answer lost, is found again", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await stage.serveUnheard();
    await stage.back();
    expect([...stage.znodes.keys()]).toEqual([taking.place?.path]);
    expect(stage.served.filter((type) => type === OpCode.Create2)).toHaveLength(1);
  });

  test("whose create was lost is asked for again", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await settled();
    await stage.cut();
    await stage.back();
    expect([...stage.znodes.keys()]).toEqual([taking.place?.path]);
    expect(stage.served.filter((type) => type === OpCode.Create2)).toHaveLength(1);
  });

  test("whose create was applied, and cannot be looked for, is given up when the connection is back", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await stage.serveUnheard();
    await stage.clock.advance(5 * operationMsMax);
    expect(taking.error).toMatchObject({ codeName: "OperationTimeout" });
    expect(stage.znodes.size).toBe(1);
    await stage.back();
    expect(stage.znodes.size).toBe(0);
  });

  test("whose create was lost, and cannot be looked for, is not made when the connection is back", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await settled();
    await stage.cut();
    await stage.clock.advance(5 * operationMsMax);
    expect(taking.error).toMatchObject({ codeName: "OperationTimeout" });
    await stage.back();
    expect(stage.served).not.toContain(OpCode.Create2);
    expect(stage.served).not.toContain(OpCode.Delete);
  });

  test("that nobody waits for any more is deleted when its create is answered", async () => {
    const stage = await begin();
    const controller = new AbortController();
    const taking = outcomeOf(takePlace(stage.zk, controller.signal));
    await settled();
    controller.abort(new Error("enough"));
    await settled();
    expect(taking.error).toMatchObject({ message: "enough" });
    await stage.serve();
    expect(stage.served[0]).toBe(OpCode.Create2);
    expect(stage.znodes.size).toBe(0);
  });

  test("that nobody waits for any more is not asked for when it had not been sent", async () => {
    const stage = await begin();
    await stage.cut();
    const controller = new AbortController();
    const taking = outcomeOf(takePlace(stage.zk, controller.signal));
    controller.abort(new Error("enough"));
    await settled();
    expect(taking.error).toMatchObject({ message: "enough" });
    await stage.back();
    expect(stage.served).toEqual([]);
  });

  test.each([
    ["applied", (stage: Stage) => stage.serveUnheard()],
    ["lost", (stage: Stage) => settled().then(() => stage.cut())],
  ])(
    "whose create was %s is gone, when it is given up before or behind the connection's end",
    async (_what, fail) => {
      for (const order of ["abort, cut", "cut, abort"]) {
        const stage = await begin();
        const controller = new AbortController();
        const taking = outcomeOf(takePlace(stage.zk, controller.signal));
        await settled();
        if (order === "abort, cut") controller.abort(new Error("enough"));
        await fail(stage);
        if (order === "cut, abort") controller.abort(new Error("enough"));
        await settled();
        expect(taking.error).toMatchObject({ message: "enough" });
        await stage.clock.advance(3 * operationMsMax);
        await stage.back();
        expect(stage.znodes.size).toBe(0);
      }
    },
  );

  test("is not looked for when its session has ended", async () => {
    const stage = await begin();
    const controller = new AbortController();
    outcomeOf(takePlace(stage.zk, controller.signal));
    await stage.serveUnheard();
    controller.abort();
    await stage.backExpired();
    expect(stage.served).toEqual([OpCode.Create2]);
  });

  test("whose session ended before its create was known is for the caller to take anew", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await stage.serveUnheard();
    await stage.backExpired();
    expect(taking.error).toMatchObject({ codeName: "SessionExpired" });
    expect(stage.served).not.toContain(OpCode.Delete);
  });

  test.each([
    ["applied", (stage: Stage) => stage.serveUnheard()],
    ["lost", (stage: Stage) => settled().then(() => stage.cut())],
  ])("whose deletion was %s with its answer is left when the connection is back", async (_what, fail) => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await stage.serve();
    const { place } = taking;
    assert(place !== undefined, "it was taken");
    const leaving = outcomeOf(leave(stage.zk, place.remove).then(() => place));
    await stage.serveUntil(OpCode.Delete);
    await fail(stage);
    await stage.clock.advance(5 * operationMsMax);
    expect(leaving.error).toMatchObject({ codeName: "OperationTimeout" });
    await stage.back();
    expect(stage.znodes.size).toBe(0);
  });

  test("left while its session ends is left: nothing is asked of the next session", async () => {
    const stage = await begin();
    const taking = outcomeOf(takePlace(stage.zk));
    await stage.serve();
    const { place } = taking;
    assert(place !== undefined, "it was taken");
    await stage.cut();
    const leaving = outcomeOf(leave(stage.zk, place.remove).then(() => place));
    await stage.clock.advance(5 * operationMsMax);
    expect(leaving.error).toMatchObject({ codeName: "OperationTimeout" });
    const served = stage.served.length;
    await stage.backExpired();
    expect(stage.served.length).toBe(served);
  });

  test("leaves no timer behind a client that was closed while it was given up", async () => {
    const stage = await begin();
    const controller = new AbortController();
    outcomeOf(takePlace(stage.zk, controller.signal));
    await stage.serveUnheard();
    controller.abort();
    await stage.clock.advance(3 * operationMsMax);
    await stage.zk.close();
    await settled();
    expect(stage.clock.timers).toBe(0);
  });
});

describe("a named place", () => {
  test("that was lost and given up is not confused with the next one of its name", async () => {
    const stage = await begin();
    const controller = new AbortController();
    outcomeOf(takeNamed(stage.zk, "/q/claim", controller.signal));
    await settled();
    await stage.cut();
    controller.abort();
    const next = outcomeOf(takeNamed(stage.zk, "/q/claim", undefined));
    await stage.back();
    expect(next.place?.path).toBe("/q/claim");
    await stage.clock.advance(operationMsMax);
    await stage.serve();
    expect(stage.served).not.toContain(OpCode.Delete);
    expect(stage.znodes.size).toBe(1);
  });

  test("is not another's to leave again: a deletion that took effect unheard does not delete the next one", async () => {
    const stage = await begin();
    const first = outcomeOf(takeNamed(stage.zk, "/q/claim", undefined));
    await stage.serve();
    const { place } = first;
    assert(place !== undefined, "it was taken");
    void leave(stage.zk, place.remove);
    await stage.serveUntil(OpCode.Delete);
    await stage.serveUnheard();
    stage.znodes.set("/q/claim", { data: new TextEncoder().encode("another"), owner: 99n });
    await stage.back();
    expect(stage.znodes.get("/q/claim")?.owner).toBe(99n);
  });

  test("that another has is refused", async () => {
    const stage = await begin();
    stage.znodes.set("/q/claim", { data: new Uint8Array(0), owner: 99n });
    const taking = outcomeOf(takeNamed(stage.zk, "/q/claim", undefined));
    await stage.serve();
    expect(taking.error).toMatchObject({ codeName: "NodeExists" });
    expect(stage.znodes.size).toBe(1);
  });
});
