/**
 * Watch streams in the real runtime, at every member, while memory is lost and leaders are.
 *
 * What was written is compared with what was told: a znode's versions have no gaps, so neither may the events.
 *
 * @module
 */

import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { OPEN_ACL, OpCode, type ServerId, type WriteRequest } from "../../src/base/index.ts";
import { pause, TestEnsemble } from "./ensemble.ts";

/** A reason that the test runner does not print as an uncaught exception. */
const quietly = "Instance dispose";

interface Told {
  readonly type: string;
  readonly zxid?: string;
  readonly events?: readonly {
    readonly zxid: string;
    readonly kind: string;
    readonly stat: { version: number };
  }[];
}

/** Follows `/a`, at its member as long as that serves, then at whoever does, from where it was. */
class Follower {
  readonly told: string[] = [];
  readonly versions: number[] = [];
  readonly others: string[] = [];
  resumed = 0;
  readonly #ensemble: TestEnsemble;
  #since: string | undefined;
  #socket: WebSocket | undefined;
  #isDone = false;

  constructor(ensemble: TestEnsemble) {
    this.#ensemble = ensemble;
  }

  /** Resolves once the subscription stands. */
  async begin(id: ServerId): Promise<void> {
    for (let at = id; ; at = this.#ensemble.ids[at % this.#ensemble.ids.length] ?? id) {
      if (await this.#subscribe(at).catch(() => false)) return;
      await pause(20);
    }
  }

  end(): void {
    this.#isDone = true;
    this.#socket?.close(1000, "done");
  }

  async #subscribe(id: ServerId): Promise<boolean> {
    const identities = encodeURIComponent(JSON.stringify([{ scheme: "super", id: "" }]));
    const headers = { Upgrade: "websocket", "Ek-Member": "any", "Ek-Stream-Identities": identities };
    const { webSocket } = await this.#ensemble.stub(id).fetch("http://member/connect", { headers });
    if (webSocket === null) return false;
    this.#socket = webSocket;
    return new Promise((resolve) => {
      webSocket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(String(data)) as Told;
        if (message.type === "subscribed") resolve(true);
        else if (message.type === "error") resolve(false);
        this.#hear(message);
      });
      webSocket.addEventListener("close", () => {
        webSocket.close();
        resolve(false);
        if (this.#socket !== webSocket || this.#isDone || this.#since === undefined) return;
        this.resumed += 1;
        void this.begin(id);
      });
      webSocket.accept();
      const since = this.#since;
      webSocket.send(JSON.stringify({ type: "subscribe", id: "s", path: "/a", since }));
    });
  }

  #hear({ type, zxid, events = [] }: Told): void {
    if (type === "subscribed" || type === "events") this.#since = zxid;
    else if (type !== "welcome" && type !== "error") this.others.push(type);
    for (const { zxid: at, kind, stat } of events) {
      this.told.push(`${at} ${kind}`);
      this.versions.push(stat.version);
    }
  }
}

async function write(ensemble: TestEnsemble, request: WriteRequest): Promise<string | undefined> {
  try {
    const leader = await ensemble.leader();
    const answer = await leader.perform({ request, identities: [], consistency: "linearizable" });
    return answer.kind === "answered" && answer.outcome.err === 0 ? answer.zxid : undefined;
  } catch {
    return undefined;
  }
}

const create: WriteRequest = {
  type: OpCode.Create,
  path: "/a",
  data: null,
  acl: OPEN_ACL,
  flags: 0,
  ttlMs: -1,
};
const set: WriteRequest = { type: OpCode.SetData, path: "/a", data: null, version: -1 };

test("streams: every member tells everything once, while all of them lose their memory in turn", async () => {
  const ensemble = await TestEnsemble.start(3, 1);
  for (const id of ensemble.ids) await ensemble.serves(id);
  const followers = await Promise.all(
    ensemble.ids.map(async (id) => {
      const follower = new Follower(ensemble);
      await follower.begin(id);
      return follower;
    }),
  );
  const written = [`${await write(ensemble, create)} created`];
  for (const id of ensemble.ids) {
    for (let i = 0; i < 3; i++) written.push(`${await write(ensemble, set)} changed`);
    // Sockets stay, memory goes; the next write, or a peer's packet, begins another life.
    await evictDurableObject(ensemble.stub(id));
  }
  written.push(`${await write(ensemble, set)} changed`);
  for (const follower of followers) {
    while (follower.told.length < written.length) await pause(20);
    expect(follower.told).toEqual(written);
    expect(follower.others).toEqual([]);
    follower.end();
  }
});

test("streams: clients that lose their member resume elsewhere, and miss nothing while leaders are lost", async () => {
  const ensemble = await TestEnsemble.start(3);
  for (const id of ensemble.ids) await ensemble.serves(id);
  const followers = await Promise.all(
    ensemble.ids.map(async (id) => {
      const follower = new Follower(ensemble);
      await follower.begin(id);
      return follower;
    }),
  );
  const acknowledged = [await write(ensemble, create)];
  let isDone = false;
  const writing = (async () => {
    while (!isDone) {
      const zxid = await write(ensemble, set);
      if (zxid !== undefined) acknowledged.push(zxid);
    }
  })();
  for (let round = 0; round < 3; round++) {
    await pause(100);
    const leader = await ensemble.leader();
    await runInDurableObject(leader, (_, state) => state.abort(quietly)).catch(() => undefined);
  }
  await pause(100);
  isDone = true;
  await writing;
  let end: string | undefined;
  while (end === undefined) end = await write(ensemble, set);
  for (const follower of followers) {
    while (follower.told.at(-1) !== `${end} changed`) await pause(20);
    // Also what nobody was told the outcome of is there, or is not: without a gap, and never twice.
    expect(follower.versions).toEqual(follower.versions.map((_, at) => at));
    expect(follower.told).toEqual(followers[0]?.told);
    expect(follower.told.map((line) => line.split(" ")[0])).toEqual(expect.arrayContaining(acknowledged));
    expect(follower.others).toEqual([]);
    follower.end();
  }
  expect(followers.reduce((sum, { resumed }) => sum + resumed, 0)).toBeGreaterThan(0);
});
