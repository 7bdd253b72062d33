/**
 * The mistakes that implementers of ZooKeeper make, one test each: the points of section 27 of the wire
 * reference that concern frames and connections, by their numbers. Those about the tree are in
 * `test/tree/checklist.test.ts`; together they are all 25.
 *
 * A connection, its reception and a real tree, whose leader agrees with itself.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { AddWatchMode, type ClientRequest, makeSessionId, OPEN_ACL, OpCode } from "../../src/base/index.ts";
import { decodeConnectResponse, frameBytesMax } from "../../src/jute/index.ts";
import type { Agreement } from "../../src/objects/agreement.ts";
import { Connection } from "../../src/objects/connection.ts";
import { Reception } from "../../src/objects/reception.ts";
import { ServerStats } from "../../src/objects/stats.ts";
import type { Settle } from "../../src/objects/writes.ts";
import { Leader } from "./support/leader.ts";
import { authFrame, connectFrame, Heard, join, pingFrame, rawFrame, requestFrame } from "./support/stream.ts";

class Desk {
  readonly leader: Leader = new Leader({
    isLone: true,
    applied: (zxid, _, { triggers, closedSession, session }) => {
      for (const trigger of triggers) {
        for (const { watcher, event } of this.leader.tree.watches.fire(trigger, () => true)) {
          const counter = (BigInt(zxid.epoch) << 32n) | BigInt(zxid.counter);
          this.#connections[watcher]?.notify(event, counter);
        }
      }
      if (session !== undefined)
        this.#bound.get(session.id)?.end({ kind: "drop", reason: "connected again" });
      if (closedSession !== undefined) this.closed += 1;
    },
  });
  closed = 0;
  readonly #connections: Connection[] = [];
  readonly #bound = new Map<bigint, Connection>();
  #lastId = 0n;

  open(): Connection {
    const reception = new Reception({
      tree: this.leader.tree,
      secret: "secret",
      tickMs: 2_000,
      authRules: { superDigest: undefined, token: undefined, requiredSchemes: [] },
      throttledOpWaitMs: 0,
      stats: new ServerStats(),
      now: () => this.leader.nowMs,
      agreement: () => this.#agreement(),
      bind: (connection, id) => this.#bound.set(id, connection),
      changed: () => undefined,
      watchesChanged: () => undefined,
    });
    const guest = { identities: [{ scheme: "ip", id: "::1" }], mustShowToken: false };
    const connection = new Connection(reception, this.#connections.length, guest);
    this.#connections.push(connection);
    return connection;
  }

  #agreement(): Agreement {
    const { writes } = this.leader;
    const submit = (request: Parameters<Leader["submit"]>[0], id: bigint, settle: Settle, ownership = 0) => {
      const requester = { sessionId: makeSessionId(id), identities: [], ownership };
      writes.submit(request, { requester, cxid: 0, settle });
      writes.flush();
    };
    return {
      hasRoom: true,
      write: ({ request, requester, cxid, settle }) => {
        writes.submit(request, { requester, cxid, settle });
        writes.flush();
      },
      openSession: (timeoutMs, settle) => {
        this.#lastId += 1n;
        submit({ type: OpCode.CreateSession, timeoutMs }, this.#lastId, settle);
      },
      renewSession: ({ id, timeoutMs, ownership }, settle) =>
        submit({ type: OpCode.RenewSession, timeoutMs }, id, settle, ownership),
      confirm: (_, done) => done(true),
      touch: () => undefined,
    };
  }
}

class Client {
  readonly connection: Connection;
  readonly #heard = new Heard();

  constructor(desk = new Desk(), connect = connectFrame()) {
    this.connection = desk.open();
    if (connect.length > 0) this.send(connect);
  }

  send(...frames: readonly Uint8Array[]): string[] {
    this.connection.receive(join(...frames), true);
    return this.#heard.read(this.connection.takeOutput());
  }

  ask(request: ClientRequest, xid = 1): string[] {
    return this.send(requestFrame(xid, request));
  }

  get end(): string | undefined {
    return this.connection.ending?.kind;
  }
}

const create = (path: string, flags = 0) =>
  ({ type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags, ttlMs: -1 }) as const;
const exists = { type: OpCode.Exists, path: "/a", watch: false } as const;
const goodbye = { type: OpCode.CloseSession } as const;

describe("checklist", () => {
  test("7: the reply to addWatch has a body of four bytes", () => {
    const client = new Client();
    const watch = { type: OpCode.AddWatch, path: "/", mode: AddWatchMode.Persistent } as const;
    client.connection.receive(requestFrame(1, watch), true);
    const reply = client.connection.takeOutput();
    expect(Buffer.from(reply ?? []).toString("hex")).toMatch(/^00000014.{32}00000000$/);
  });

  test("8: closeSession is answered by a header, then closed; so is a connect that finds no session", () => {
    const client = new Client();
    client.connection.receive(requestFrame(9, goodbye), true);
    expect([client.connection.takeOutput()?.length, client.end]).toEqual([20, "close"]);
    const stranger = new Client(new Desk(), connectFrame({ sessionId: 77n, password: new Uint8Array(16) }));
    expect(stranger.end).toBe("close");
  });

  test("9: a connect that has seen a later zxid is dropped, not answered", () => {
    const client = new Client(new Desk(), new Uint8Array(0));
    expect(client.send(connectFrame({ lastZxidSeen: 1n << 40n }))).toEqual([]);
    expect(client.end).toBe("drop");
  });

  test("12: all events come before the writer's reply", () => {
    const client = new Client();
    client.ask({ type: OpCode.AddWatch, path: "/", mode: AddWatchMode.Persistent });
    client.ask({ ...exists, watch: true });
    const said = client.ask(create("/a"), 5).map((line) => line.split(" ").slice(0, 3).join(" "));
    expect(said).toEqual(["event 1 /a", "event 4 /", `5 ${(1n << 32n) + 2n} 0`]);
  });

  test("16: digest always succeeds; an unknown scheme is answered -115, then closed", () => {
    const client = new Client();
    expect(client.send(authFrame(-4, "digest", "anybody:anything"))).toEqual(["-4 0 0"]);
    expect([client.send(authFrame(3, "kerberos", "x")), client.end]).toEqual([["3 0 -115"], "close"]);
  });

  test("19: the reply to a refused write carries the zxid it took", () => {
    const client = new Client();
    const remove = { type: OpCode.Delete, path: "/none", version: -1 } as const;
    expect(client.ask(remove)).toEqual([`1 ${(1n << 32n) + 2n} -101`]);
    expect(client.ask(remove, 2)).toEqual([`2 ${(1n << 32n) + 3n} -101`]);
  });

  test("20: an unknown op code is answered -6 with zxid -1, then closed", () => {
    for (const type of [OpCode.Check, OpCode.DeleteContainer, OpCode.CreateSession, 0, 10, 99]) {
      const client = new Client();
      expect([client.send(rawFrame(4, type)), client.end]).toEqual([["4 -1 -6"], "close"]);
    }
  });

  test("21: a frame that is too long drops its sender before its body comes", () => {
    const prefix = (length: number) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setInt32(0, length);
      return bytes;
    };
    for (const connect of [connectFrame(), new Uint8Array(0)]) {
      for (const length of [frameBytesMax + 1, -1]) {
        const client = new Client(new Desk(), connect);
        expect([client.send(prefix(length)), client.end]).toEqual([[], "drop"]);
      }
      const longest = new Client(new Desk(), connect);
      expect([longest.send(prefix(frameBytesMax)), longest.end]).toEqual([[], undefined]);
    }
  });

  test("23: what follows closeSession gets no reply", () => {
    const client = new Client();
    const said = client.send(requestFrame(1, goodbye), requestFrame(2, exists), pingFrame());
    expect(said.map((line) => line.split(" ")[0])).toEqual(["1"]);
  });

  test("24: a second connection for the same session ends the first", () => {
    const desk = new Desk();
    const first = new Client(desk, new Uint8Array(0));
    first.connection.receive(connectFrame(), true);
    const response = decodeConnectResponse((first.connection.takeOutput() ?? new Uint8Array(4)).subarray(4));
    if (response === undefined) throw new Error("no connect response");
    const { sessionId, password } = response;
    const second = new Client(desk, connectFrame({ sessionId, password }));
    expect([first.end === undefined, second.end, second.connection.sessionId]).toEqual([
      false,
      undefined,
      sessionId,
    ]);
  });

  test("25: the response to a connect without the readOnly byte has none", () => {
    for (const [readOnly, length] of [
      [undefined, 36],
      [false, 37],
      [true, 37],
    ] as const) {
      const client = new Client(new Desk(), new Uint8Array(0));
      client.connection.receive(connectFrame({ readOnly }), true);
      expect(client.connection.takeOutput()?.length).toBe(4 + length);
    }
  });
});
