/**
 * Four-letter words and admin commands, over figures a member is made to report. The expected texts have
 * the form that ZooKeeper 3.9.4 gave when asked the same, with other figures in it.
 *
 * @module
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerId, OpCode, type ParsedSettings, parseSettings } from "../../src/base/index.ts";
import type { ConnectionReport, MemberReport } from "../../src/objects/index.ts";
import { answerCommand, commandNames } from "../../src/worker/admin/commands.ts";
import { averageOf, JavaDouble, javaDate, javaJson, javaSocketAddress } from "../../src/worker/admin/java.ts";
import { answerWord, words } from "../../src/worker/admin/words.ts";
import { clientOf, problemIn, type Send } from "./client.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

const version = "3.9.5-edgekeeper-0.1.0, built on 11/23/2026 00:00 GMT";
const notServing = "This ZooKeeper instance is not currently serving requests";

let ensemble: FakeEnsemble;
let send: Send;

beforeEach(() => {
  ensemble = new FakeEnsemble();
  send = clientOf(ensemble);
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lets the worker's time pass until there is an answer. */
async function passTime(asking: () => Promise<string>): Promise<string> {
  vi.useFakeTimers();
  let answered = false;
  const answer = asking().finally(() => {
    answered = true;
  });
  while (!answered) await vi.advanceTimersByTimeAsync(50);
  vi.useRealTimers();
  return answer;
}

function say(figures: Partial<MemberReport>): void {
  ensemble.member(1).figures = figures;
}

async function word(name: string, query = ""): Promise<string> {
  const sent = await send(`GET /v1/main/admin/words/${name}${query}`);
  expect([sent.status, sent.headers.get("Content-Type")]).toEqual([200, "text/plain; charset=utf-8"]);
  return sent.text;
}

const connection: ConnectionReport = {
  ...{ address: "10.0.0.1", port: 4567, sessionId: "0x100000100000001", timeoutMs: 10_000 },
  ...{ outstanding: 1, received: 11, sent: 10, lastOp: OpCode.GetChildren, lastCxid: 10 },
  ...{ lastZxid: "0x100000005", lastResponseMs: Date.UTC(2026, 10, 1) - 4_000, lastLatencyMs: 1 },
  latency: { min: 0, max: 20, sum: 35, count: 10 },
  establishedMs: 1_795_453_155_769,
};
const stranger: ConnectionReport = {
  ...connection,
  ...{ address: "::1", port: 9, sessionId: undefined, outstanding: 0, received: 1, sent: 0 },
  ...{ lastOp: undefined, lastCxid: -1, lastZxid: undefined },
};

describe("words", () => {
  test("srvr", async () => {
    say({
      latency: { min: 0, max: 20, sum: 45, count: 13 },
      ...{ received: 15, sent: 14, connectionCount: 3, outstanding: 2 },
      proposals: { last: 43, min: 26, max: 50 },
    });
    expect(await word("srvr")).toBe(
      `Zookeeper version: ${version}\nLatency min/avg/max: 0/3.4615/20\nReceived: 15\nSent: 14\n` +
        "Connections: 3\nOutstanding: 2\nZxid: 0x100000000\nMode: leader\nNode count: 5\n" +
        "Proposal sizes last/min/max: 43/26/50\n",
    );
    say({ mode: "standalone" });
    expect(await word("srvr")).toContain("Latency min/avg/max: 0/0.0/0\n");
    expect(await word("srvr")).toMatch(/Mode: standalone\nNode count: 5\n$/);
  });

  test("what a member said is dated, whether it was asked for or not; what nobody was asked is not", async () => {
    for (const [of, zxid] of [
      ["words/srvr", "0x100000000"],
      ["commands/stats?member=1", "0x100000000"],
      ["words/ruok", null],
    ] as const) {
      expect((await send(`GET /v1/main/admin/${of}`)).headers.get("Ek-Zxid")).toBe(zxid);
    }
  });

  test("the version is one that the Go client can read", async () => {
    const pattern =
      /Zookeeper version: ([A-Za-z0-9.-]+), built on (\d\d\/\d\d\/\d{4} \d\d:\d\d [A-Za-z0-9:+-]+)/;
    expect(await word("srvr")).toMatch(pattern);
    expect(await word("envi")).toMatch(/^Environment:\nzookeeper\.version=3\.9\.5-/);
  });

  test("stat and cons", async () => {
    say({ connections: [connection, stranger], mode: "follower" });
    const strangerLine = " /[::1]:9[1](queued=0,recved=1,sent=0)\n";
    expect(await word("stat")).toBe(
      `Zookeeper version: ${version}\nClients:\n /10.0.0.1:4567[1](queued=1,recved=11,sent=10)\n` +
        `${strangerLine}\nLatency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\nConnections: 0\n` +
        "Outstanding: 0\nZxid: 0x100000000\nMode: follower\nNode count: 5\n",
    );
    expect(await word("cons")).toBe(
      " /10.0.0.1:4567[1](queued=1,recved=11,sent=10,sid=0x100000100000001,lop=GETC,est=1795453155769," +
        "to=10000,lcxid=0xa,lzxid=0x100000005,lresp=1000,llat=1,minlat=0,avglat=3,maxlat=20)\n" +
        `${strangerLine}\n`,
    );
    say({ connections: [{ ...connection, lastOp: undefined, lastCxid: -1, lastZxid: undefined }] });
    expect(await word("cons")).toContain("lop=NA,est=1795453155769,to=10000,lzxid=0xffffffffffffffff,");
  });

  test("conf, with the ports of who asks", async () => {
    say({ mode: "standalone" });
    expect(await word("conf", "?clientPort=2181&secureClientPort=2281")).toBe(
      "clientPort=2181\nsecureClientPort=2281\ndataDir=sqlite\ndataDirSize=4096\ndataLogDir=sqlite\n" +
        "dataLogSize=4096\ntickTime=2000\nmaxClientCnxns=0\nminSessionTimeout=4000\n" +
        "maxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=1\n",
    );
    say({ configText: "server.1=x\nversion=0" });
    expect(await word("conf")).toMatch(/serverId=1\npeerType=0\nmembership: \nserver\.1=x\nversion=0\n$/);
  });

  test("dump, at a leader and at a follower", async () => {
    const sessions = [
      { id: "0x1", timeoutMs: 4_000, deadlineMs: Date.UTC(2026, 10, 23, 16, 59, 26) },
      { id: "0x2", timeoutMs: 6_000, deadlineMs: Date.UTC(2026, 10, 23, 16, 59, 24) },
    ];
    say({
      sessions,
      ephemerals: [{ sessionId: "0x1", paths: ["/a/e", "/b"] }],
      connections: [{ ...connection, sessionId: "0x1" }],
    });
    expect(await word("dump")).toBe(
      "SessionTracker dump:\nSession Sets (2)/(2):\n1 expire at Mon Nov 23 16:59:24 UTC 2026:\n\t0x2\n" +
        "1 expire at Mon Nov 23 16:59:26 UTC 2026:\n\t0x1\n" +
        "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x1:\n\t/a/e\n\t/b\n" +
        "Connections dump:\nConnections Sets (1)/(1):\n1 expire at Mon Nov 23 16:59:26 UTC 2026:\n" +
        "\tip: /10.0.0.1:4567 sessionId: 0x1\n",
    );
    say({ mode: "follower", sessions, ephemerals: [], connections: [] });
    expect(await word("dump")).toMatch(
      /^SessionTracker dump:\nGlobal Sessions\(2\):\n0x1\t4000ms\n0x2\t6000ms\n/,
    );
  });

  test("wchs, wchc and wchp", async () => {
    const pairs = [
      ["0x1", "/a"],
      ["0x2", "/a"],
      ["0x1", "/nope"],
    ] as const;
    say({
      watches: pairs.map(([sessionId, path]) => ({ sessionId, path })),
      watchSummary: { connections: 2, paths: 2, watches: 3 },
    });
    expect(await word("wchs")).toBe("2 connections watching 2 paths\nTotal watches:3\n");
    expect(await word("wchc")).toBe("0x1\n\t/a\n\t/nope\n0x2\n\t/a\n\n");
    expect(await word("wchp")).toBe("/a\n\t0x1\n\t0x2\n/nope\n\t0x1\n\n");
    say({ watches: "tooMany" });
    expect(await word("wchc")).toBe("Too many watches to list\n");
  });

  test("mntr has a key, a tab and a value a line, and the leader's figures at the leader only", async () => {
    say({ learners: [makeServerId(2), makeServerId(3)], latency: { min: 1, max: 3, sum: 4, count: 2 } });
    const text = await word("mntr");
    expect(
      text
        .split("\n")
        .slice(0, -1)
        .every((line) => /^zk_[a-z_]+\t[^\t]+$/.test(line)),
    ).toBe(true);
    for (const line of ["zk_server_state\tleader", "zk_avg_latency\t2.0", "zk_synced_followers\t2"]) {
      expect(text.split("\n")).toContain(line);
    }
    for (const line of ["zk_uptime\t5000", "zk_quorum_size\t3", "zk_znode_count\t5"]) {
      expect(text.split("\n")).toContain(line);
    }
    say({ mode: "standalone" });
    expect(await word("mntr")).not.toMatch(/quorum|learners|proposal/);
  });

  test("crst, srst and stmk ask the member for it", async () => {
    expect(await word("crst")).toBe("Connection stats reset.\n");
    expect(await word("srst")).toBe("Server stats reset.\n");
    await word("stmk", "?traceMask=-7");
    expect(ensemble.callsOf("report").map(({ argument }) => argument)).toEqual([
      { lists: [], reset: "connections" },
      { lists: [], reset: "server" },
      { lists: [], traceMask: "-7" },
    ]);
  });

  test("small ones", async () => {
    say({ traceMask: "7" });
    const asked = ["ruok", "isro", "gtmk", "hash", "dirs"];
    expect(await Promise.all(asked.map((name) => word(name)))).toEqual([
      "imok",
      "rw",
      "7",
      "",
      "datadir_size: 4096\nlogdir_size: 4096\n",
    ]);
  });

  test("ruok wakes nobody", async () => {
    await word("ruok");
    expect(ensemble.calls).toEqual([]);
  });

  test("of an ensemble that does not serve, or cannot be reached", async () => {
    say({ isServing: false });
    expect(await passTime(() => word("srvr"))).toBe(`${notServing}\n`);
    expect(await passTime(() => word("isro"))).toBe("null");
    for (const { id } of ensemble.members) ensemble.member(id).down = "throw";
    expect(await passTime(() => word("mntr"))).toBe(`${notServing}\n`);
    expect(await passTime(() => word("isro"))).toBe("null");
  });

  test("of an ensemble that its first question wakes: once it serves", async () => {
    ensemble.member(1).figures = {
      get isServing() {
        return ensemble.callsOf("report").length > 2;
      },
    };
    expect(await passTime(() => word("srvr"))).toContain("Mode: leader");
    expect(ensemble.callsOf("report")).toHaveLength(3);
  });

  test("one member may be asked, and must be one", async () => {
    ensemble.member(2).figures = { mode: "follower" };
    expect(await word("srvr", "?member=2")).toContain("Mode: follower");
    problemIn(await send("GET /v1/main/admin/words/srvr?member=9"), { status: 400 });
    problemIn(await send("GET /v1/main/admin/words/abcd"), { status: 404 });
    problemIn(await send("GET /v1/main/admin/words/stmk?traceMask=9223372036854775808"), { status: 400 });
    problemIn(await send("POST /v1/main/admin/words/srvr"), { status: 405 });
  });
});

describe("commands", () => {
  async function command(name: string, query = ""): Promise<string> {
    const sent = await send(`GET /v1/main/admin/commands/${name}${query}`);
    expect([sent.status, sent.headers.get("Content-Type")]).toEqual([200, "application/json"]);
    return sent.text;
  }

  test("are listed", async () => {
    const { commands, words: listed } = (await send("GET /v1/main/admin")).json();
    expect(commands).toContain("/v1/main/admin/commands/server_stats");
    expect(listed).toContain("/v1/main/admin/words/srvr");
  });

  test("answer in Jackson's layout, with session ids of 64 bits", async () => {
    say({ connections: [{ ...connection, sessionId: "0xfe00000100000001" }] });
    expect(await command("cons")).toBe(`{
  "connections" : [ {
    "remote_socket_address" : "10.0.0.1:4567",
    "interest_ops" : 1,
    "outstanding_requests" : 1,
    "packets_received" : 11,
    "packets_sent" : 10,
    "session_id" : ${BigInt.asIntN(64, 0xfe00000100000001n)},
    "last_operation" : "GETC",
    "established" : 1795453155769,
    "session_timeout" : 10000,
    "last_cxid" : 10,
    "last_zxid" : 4294967301,
    "last_response_time" : ${connection.lastResponseMs},
    "last_latency" : 1,
    "min_latency" : 0,
    "avg_latency" : 3,
    "max_latency" : 20
  } ],
  "secure_connections" : [ ],
  "command" : "connections",
  "error" : null
}`);
  });

  const answeredOtherwise = ["set_trace_mask", "snapshot", "restore"];

  test.each(commandNames.filter((name) => !answeredOtherwise.includes(name)))(
    "%s is JSON that ends in its name",
    async (name) => {
      say({
        ...{ connections: [stranger], sessions: [{ id: "0x1", timeoutMs: 1, deadlineMs: 5 }] },
        ephemerals: [{ sessionId: "0x1", paths: ["/a"] }],
        watches: [{ sessionId: "0x1", path: "/a" }],
      });
      const parsed: Record<string, unknown> = JSON.parse(await command(name));
      expect(Object.keys(parsed).slice(-2)).toEqual(["command", "error"]);
      expect(parsed).toMatchObject({ command: name, error: null });
    },
  );

  test("have aliases; unknown ones say so under 200", async () => {
    expect(JSON.parse(await command("srvr"))).toMatchObject({ command: "server_stats", node_count: 5 });
    expect(await command("nonsense")).toBe(
      `{\n  "command" : "nonsense",\n  "error" : "Unknown command: nonsense"\n}`,
    );
    expect(JSON.parse(await command("constructor"))).toMatchObject({ error: "Unknown command: constructor" });
  });

  test("set_trace_mask wants a mask of 64 bits", async () => {
    const refused = { error: "setTraceMask requires long traceMask argument", command: "set_trace_mask" };
    for (const query of ["", "?traceMask=x", "?traceMask=9223372036854775808"]) {
      expect(JSON.parse(await command("stmk", query))).toEqual(refused);
    }
    await command("stmk", "?traceMask=9223372036854775807");
    expect(ensemble.callsOf("report").at(-1)?.argument).toEqual({
      lists: [],
      traceMask: "9223372036854775807",
    });
  });

  test("of an ensemble that does not serve, and of lists too long to give", async () => {
    say({ isServing: false });
    expect(JSON.parse(await passTime(() => command("srvr")))).toEqual({
      command: "server_stats",
      error: notServing,
    });
    expect(JSON.parse(await passTime(() => command("mntr")))).toMatchObject({
      command: "monitor",
      error: null,
    });
    say({ watches: "tooMany" });
    expect(JSON.parse(await command("wchp"))).toEqual({
      command: "watches_by_path",
      error: "Too many entries to list",
    });
  });

  test("nobody is told anything without the token", async () => {
    const guarded = clientOf(ensemble, { EK_TOKEN: "secret" });
    for (const path of ["admin", "admin/commands/dump", "admin/words/dump"]) {
      problemIn(await guarded(`GET /v1/main/${path}`), { status: 401 });
    }
    expect(ensemble.calls).toEqual([]);
  });
});

describe("copies of the tree", () => {
  const at = "/v1/main/admin/commands";
  const caller = [{ scheme: "ip", id: "127.0.0.1" }];

  test("hash is the digest of the leader's tree, in 64 bits, as ZooKeeper writes it", async () => {
    const sent = await send(`GET ${at}/hash`);
    expect(sent.text).toBe(`{
  "digests" : [ {
    "zxid" : 4294967296,
    "digest" : 9223372036854775809,
    "digest_version" : 2
  } ],
  "command" : "hash",
  "error" : null
}`);
    expect([sent.status, sent.headers.get("Ek-Zxid")]).toEqual([200, "0x100000000"]);
    expect(ensemble.callsOf("digestTree")).toMatchObject([{ member: 1, argument: caller }]);
  });

  test.each(["snapshot", "snap?streaming=true", "snapshot?member=2"])("%s is a file", async (command) => {
    const sent = await send(`GET ${at}/${command}`);
    const names = ["Content-Type", "last_zxid", "snapshot_size", "Ek-Zxid"];
    expect([sent.status, sent.text, ...names.map((name) => sent.headers.get(name))]).toEqual([
      ...[200, "ZKSN", "application/octet-stream", "0x100000000", "4", "0x100000000"],
    ]);
    const [call] = ensemble.callsOf("fetch");
    const request = call?.argument as Request;
    expect(call?.member).toBe(command.endsWith("2") ? 2 : 1);
    expect(JSON.parse(decodeURIComponent(request.headers.get("Ek-Snapshot-Identities") ?? ""))).toEqual(
      caller,
    );
  });

  test("who holds the token is the super user of them", async () => {
    const guarded = clientOf(ensemble, { EK_TOKEN: "secret" });
    await guarded(`GET ${at}/hash`, { headers: { Authorization: "Bearer secret" } });
    expect(ensemble.callsOf("digestTree")[0]?.argument).toContainEqual({ scheme: "super", id: "" });
    problemIn(await guarded(`GET ${at}/snapshot`), { status: 401 });
    expect(ensemble.callsOf("fetch")).toEqual([]);
  });

  test("that nobody gives have the statuses of ZooKeeper's", async () => {
    const first = ensemble.member(1);
    first.fail("fetch", { answer: new Response(null, { status: 403 }) });
    first.fail("digestTree", { answer: { kind: "denied" } });
    for (const command of ["snapshot", "hash"]) {
      const sent = await send(`GET ${at}/${command}`);
      expect(sent.status).toBe(403);
      expect(sent.json()).toEqual({ command, error: "Only who may do everything at / may copy the tree" });
    }
    const busy = [429, 429, 429].map((status) => ({ answer: new Response(null, { status }) }));
    first.fail("fetch", ...busy, { answer: new Response(null, { status: 500 }) });
    expect((await send(`GET ${at}/snapshot`)).status).toBe(429);
    expect((await send(`GET ${at}/snapshot`)).status).toBe(500);
    expect((await send(`GET ${at}/snapshot?streaming=false`)).status).toBe(400);
    const head = await send(`HEAD ${at}/snapshot`);
    expect([head.status, head.headers.get("Content-Type")]).toEqual([200, "application/octet-stream"]);
    expect(ensemble.callsOf("fetch")).toHaveLength(5);
  });

  test("are not taken back: restore says what is, and asks nobody", async () => {
    const sent = await send(`POST ${at}/restore`, { body: "ZKSN" });
    expect([sent.status, sent.json()]).toMatchObject([
      503,
      { command: "restore", error: expect.stringContaining("ek import --snapshot") },
    ]);
    expect(ensemble.calls).toEqual([]);
  });
});

describe("Java's habits", () => {
  test("doubles, dates and addresses", () => {
    expect([new JavaDouble(2), new JavaDouble(0.25)].map(String)).toEqual(["2.0", "0.25"]);
    expect(String(averageOf({ sum: 2, count: 3 }))).toBe("0.6667");
    expect(javaDate(0)).toBe("Thu Jan 01 00:00:00 UTC 1970");
    expect([javaSocketAddress("1.2.3.4", 5), javaSocketAddress("::1", 5)]).toEqual([
      "/1.2.3.4:5",
      "/[::1]:5",
    ]);
  });

  test("JSON says what JSON.parse reads back", () => {
    const value = { a: [], b: {}, c: [{ d: 'x"y' }, 1, null, true], e: new JavaDouble(1) };
    expect(JSON.parse(javaJson(value))).toEqual({ ...value, e: 1 });
  });
});

test("every word and command has an answer when no member says anything", () => {
  const { settings } = parseSettings({}) as Extract<ParsedSettings, { ok: true }>;
  const listener = { clientPort: -1, secureClientPort: -1, connectionsPerAddressMax: 0 };
  for (const name of words) expect(answerWord(name, undefined, listener)).toMatch(/^(imok|null|This Zoo)/);
  for (const name of commandNames) {
    expect(answerCommand(name, undefined, settings)).toEqual({
      command: name,
      error: notServing,
    });
  }
});
