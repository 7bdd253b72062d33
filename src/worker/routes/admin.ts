/**
 * `GET /v1/{ensemble}/admin/...`: what ZooKeeper's AdminServer and its four-letter words say.
 *
 * - `admin`: the names of the commands; `admin/commands/{name}`: one of them, as JSON. As in ZooKeeper a
 *   command that fails says so in its body, under status 200.
 * - `admin/words/{word}`: a four-letter word's text. Gateways ask for it on behalf of their clients.
 *
 * One member answers: the one asked for with `member`, else the leader, else any that is active. A member
 * that cannot answer at all makes no failure of the request, but an ensemble that does not serve.
 *
 * @module
 */

import type { Context } from "hono";
import type { ServerId } from "../../base/index.ts";
import type { MemberReport, NotServed, ReportRequest } from "../../objects/index.ts";
import { answerCommand, commandNames, failedCommand, findCommand, requestOf } from "../admin/commands.ts";
import { type JavaJson, javaJson } from "../admin/java.ts";
import { answerWord, isWord, reportFor, words } from "../admin/words.ts";
import { within } from "../calls.ts";
import type { AppEnv } from "../env.ts";
import type { LeaderRouter } from "../leader.ts";
import { adminMs } from "../limits.ts";
import { badRequest, Problem } from "../problems.ts";
import { findMember, readQuery } from "../queries.ts";

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
  const query = readQuery(c.req.url, ["member", "traceMask"]);
  const traceMask = name === "set_trace_mask" ? readTraceMask(query.traceMask) : undefined;
  if (name === "set_trace_mask" && traceMask === undefined) {
    return answerJson(failedCommand(name, "setTraceMask requires long traceMask argument"));
  }
  const report = await reportOf(c, router, { ...requestOf(name), traceMask });
  return answerJson(answerCommand(name, report, c.get("settings")));
}

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

function answerJson(body: JavaJson): Response {
  return new Response(javaJson(body), { headers: { "Content-Type": "application/json" } });
}

/** `undefined`: nobody answers. */
async function reportOf(
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
