/**
 * `GET /v1/{ensemble}/admin/...`: what ZooKeeper's AdminServer and its four-letter words say.
 *
 * - `admin`: the names of the commands; `admin/commands/{name}`: one of them, as JSON. As in ZooKeeper a
 *   command that fails says so in its body, under status 200; `snapshot` and `restore` have others.
 * - `admin/words/{word}`: a four-letter word's text. Gateways ask for it on behalf of their clients.
 *
 * One member answers: the one asked for with `member`, else the leader, else any that is active. A member
 * that cannot answer at all makes no failure of the request, but an ensemble that does not serve.
 *
 * @module
 */

import type { Context, MiddlewareHandler } from "hono";
import type { ServerId } from "../../base/index.ts";
import type { MemberReport, NotServed, ReportRequest } from "../../objects/index.ts";
import {
  answerCommand,
  answerDigest,
  commandNames,
  failedCommand,
  findCommand,
  notServing,
  requestOf,
} from "../admin/commands.ts";
import { type JavaJson, javaJson } from "../admin/java.ts";
import { answerWord, isWord, reportFor, words } from "../admin/words.ts";
import { sleep, within } from "../calls.ts";
import type { AppEnv, MemberStub } from "../env.ts";
import type { Carried, LeaderRouter } from "../leader.ts";
import { adminMs, copyMs, electionLookMs } from "../limits.ts";
import { openSnapshot } from "../member-snapshots.ts";
import { badRequest, Problem } from "../problems.ts";
import { findMember, readQuery } from "../queries.ts";
import { takesNoBody } from "../strictness.ts";

const fileHeaders = { "Content-Type": "application/octet-stream" };

export function listCommands(c: Context<AppEnv>): Response {
  readQuery(c.req.url, []);
  const base = `/v1/${c.get("ensemble").name}/admin`;
  return Response.json({
    commands: commandNames.map((name) => `${base}/commands/${name}`),
    words: words.map((word) => `${base}/words/${word}`),
  });
}

export async function getCommand(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const given = c.req.param("command") ?? "";
  const name = findCommand(given);
  if (name === undefined) {
    return answerJson(failedCommand(given.slice(0, 64), `Unknown command: ${given.slice(0, 64)}`));
  }
  const query = readQuery(c.req.url, ["member", "traceMask", "streaming"]);
  const special = specialCommands[name];
  if (special !== undefined) return special(c, router, query.streaming);
  const traceMask = name === "set_trace_mask" ? readTraceMask(query.traceMask) : undefined;
  if (name === "set_trace_mask" && traceMask === undefined) {
    return answerJson(failedCommand(name, "setTraceMask requires long traceMask argument"));
  }
  const report = await reportOf(c, router, { ...requestOf(name), traceMask });
  return answerJson(answerCommand(name, report, c.get("settings")));
}

type Answerer = (
  c: Context<AppEnv>,
  router: LeaderRouter,
  streaming: string | undefined,
) => Promise<Response>;

/** What no report of a member can answer. */
const specialCommands: Readonly<Record<string, Answerer>> = {
  hash: getHash,
  snapshot: getSnapshot,
  restore: refuseRestore,
};

async function getHash(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const name = "hash";
  const { identities } = c.get("caller");
  const reply = await copyFrom(c, router, (member) => member.digestTree(identities));
  if (reply === undefined) return answerJson(failedCommand(name, notServing));
  if (reply.kind === "digest") {
    c.set("zxid", reply.zxid);
    return answerJson(answerDigest(name, reply));
  }
  return refuseCopy(name, reply.kind);
}

/** As in ZooKeeper, whose file it is, and whose names of the headers. */
async function getSnapshot(c: Context<AppEnv>, router: LeaderRouter, streaming = "true"): Promise<Response> {
  const name = "snapshot";
  if (streaming !== "true") {
    return answerJson(failedCommand(name, "A member keeps no snapshot files: leave streaming out"), 400);
  }
  // A HEAD comes here as well, and a file that nobody reads is opened for nothing.
  if (c.req.raw.method === "HEAD") return new Response(null, { headers: fileHeaders });
  const { identities } = c.get("caller");
  const reply = await copyFrom(c, router, (member) => openSnapshot(member, identities));
  if (reply === undefined) return answerJson(failedCommand(name, notServing), 503);
  if (reply.kind !== "opened") return refuseCopy(name, reply.kind);
  c.set("zxid", reply.zxid);
  return new Response(reply.body, {
    headers: { ...fileHeaders, last_zxid: reply.zxid, snapshot_size: reply.bytes },
  });
}

/** It would have to replace what all members hold, in one step. Nothing is read of what was sent. */
async function refuseRestore(): Promise<Response> {
  const error = "No member takes a snapshot in: ek import --snapshot writes one into an ensemble that serves";
  return answerJson(failedCommand("restore", error), 503);
}

/** `undefined`: nobody serves. */
async function copyFrom<Reply extends { readonly kind: string }>(
  c: Context<AppEnv>,
  router: LeaderRouter,
  attempt: (member: MemberStub) => Promise<Reply>,
): Promise<Carried<Reply>["reply"] | { readonly kind: "overloaded" } | undefined> {
  const whom = (await readMember(c)) ?? "leader";
  try {
    const { reply } = await router.run(c.get("ensemble"), {
      action: "Cannot copy the tree",
      ...{ effect: "none", whom, searchMs: adminMs },
      attemptMs: () => copyMs,
      attempt,
    });
    return reply;
  } catch (error) {
    if (error instanceof Problem && error.fields.status === 429) return { kind: "overloaded" };
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function refuseCopy(name: string, kind: "denied" | "overloaded" | "failed"): Response {
  switch (kind) {
    case "denied":
      return answerJson(failedCommand(name, "Only who may do everything at / may copy the tree"), 403);
    case "overloaded":
      return answerJson(failedCommand(name, "Another copy is under way, try again"), 429);
    case "failed":
      return answerJson(failedCommand(name, "The member gave no snapshot"), 500);
  }
}

/** Who sends a snapshot to `restore` is told what to do with it instead. */
export const takesNoBodyOfCommand: MiddlewareHandler<AppEnv> = (c, next) =>
  findCommand(c.req.param("command") ?? "") === "restore" ? next() : takesNoBody(c, next);

export async function getWord(c: Context<AppEnv>, router: LeaderRouter): Promise<Response> {
  const word = c.req.param("word") ?? "";
  if (!isWord(word)) {
    throw new Problem({
      slug: "not-found",
      title: "No such word",
      status: 404,
      detail: `Cannot answer ${JSON.stringify(word.slice(0, 64))}: the words are ${words.join(", ")}`,
    });
  }
  const known = ["member", "traceMask", "clientPort", "secureClientPort"] as const;
  const query = readQuery(c.req.url, known);
  const traceMask = readTraceMask(query.traceMask);
  if (word === "stmk" && traceMask === undefined) {
    throw badRequest('Cannot set the trace mask: "traceMask" must be a number of 64 bits');
  }
  // Answered by whoever is asked: no member is woken for it.
  const report = word === "ruok" ? undefined : await reportOf(c, router, reportFor(word, traceMask));
  const { maxConnectionsPerAddress: connectionsPerAddressMax } = c.get("settings");
  const clientPort = readPort(query.clientPort);
  const secureClientPort = readPort(query.secureClientPort);
  const text = answerWord(word, report, { clientPort, secureClientPort, connectionsPerAddressMax });
  return new Response(text, { headers: { "Content-Type": "text/plain; charset=utf-8" } });
}

function answerJson(body: JavaJson, status = 200): Response {
  return new Response(javaJson(body), { status, headers: { "Content-Type": "application/json" } });
}

/**
 * Of a member that serves, if there is one soon: whom this very question has woken agrees with the others in a
 * moment, and some clients ask `srvr` before they connect. `undefined`: nobody answers.
 */
async function reportOf(
  c: Context<AppEnv>,
  router: LeaderRouter,
  request: ReportRequest,
): Promise<MemberReport | undefined> {
  const untilMs = Date.now() + adminMs;
  for (;;) {
    const report = await nextReport(c, router, request);
    if (report === undefined || report.isServing || Date.now() >= untilMs) return report;
    await sleep(electionLookMs);
  }
}

async function nextReport(
  c: Context<AppEnv>,
  router: LeaderRouter,
  request: ReportRequest,
): Promise<MemberReport | undefined> {
  const ensemble = c.get("ensemble");
  const asked = await readMember(c);
  try {
    if (asked !== undefined) {
      const report = servedOrNone(await within(adminMs, () => ensemble.member(asked).report(request)));
      if (report !== undefined) c.set("zxid", report.zxid);
      return report;
    }
    const { reply } = await router.run(ensemble, {
      action: "Cannot report",
      effect: "none",
      unled: true,
      searchMs: adminMs,
      attemptMs: () => adminMs,
      attempt: (member) => member.report(request),
    });
    c.set("zxid", reply.zxid);
    return reply;
  } catch {
    return undefined;
  }
}

function servedOrNone(answer: MemberReport | NotServed): MemberReport | undefined {
  return answer.kind === "report" ? answer : undefined;
}

async function readMember(c: Context<AppEnv>): Promise<ServerId | undefined> {
  const text = new URL(c.req.url).searchParams.get("member");
  if (text === null) return undefined;
  const id = await findMember(text, c.get("ensemble"));
  if (id === undefined) throw badRequest(`Cannot read the query: "member" is no member of the ensemble`);
  return id;
}

/** A signed decimal of 64 bits. */
function readTraceMask(text: string | undefined): string | undefined {
  if (text === undefined || !/^-?[0-9]{1,19}$/.test(text)) return undefined;
  const mask = BigInt(text);
  return mask === BigInt.asIntN(64, mask) ? String(mask) : undefined;
}

/** -1: none. */
function readPort(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
}
