/**
 * The Hono app: what stands before every route, and which routes there are.
 *
 * Every route is listed here. A member is reached by what these routes ask of it and in no other way: no
 * part of a request names a member's method, and `exchange`, by which members talk to each other, is not
 * even in the type the Worker has of them.
 *
 * @module
 */

import { Hono, type MiddlewareHandler } from "hono";
import { type ParsedSettings, parseSettings } from "../base/index.ts";
import { requireCaller } from "./auth.ts";
import { findEnsemble } from "./ensemble.ts";
import type { AppEnv, Env } from "./env.ts";
import { neverOlder } from "./floor.ts";
import { LeaderRouter } from "./leader.ts";
import openApi from "./openapi.json" with { type: "json" };
import { internalProblem, Problem, problemResponse } from "./problems.ts";
import { getCommand, getWord, listCommands, takesNoBodyOfCommand } from "./routes/admin.ts";
import { connect } from "./routes/connect.ts";
import { deleteElection, getElection, postElection, putElection } from "./routes/elections.ts";
import { deleteLock, getLock, postLock, putLock } from "./routes/locks.ts";
import { deleteMember, getMembers, postMember } from "./routes/members.ts";
import { deleteSemaphore, getSemaphore, postSemaphore, putSemaphore } from "./routes/semaphores.ts";
import { deleteSession, getSession, postSession, putSession } from "./routes/sessions.ts";
import { allowOnly } from "./routes/shared.ts";
import { postTransaction } from "./routes/transactions.ts";
import { watchEvents, watchSocket } from "./routes/watch.ts";
import { getZnode } from "./routes/znode-reads.ts";
import { deleteZnode, postZnode, putZnode } from "./routes/znode-writes.ts";
import { takesNoBody, takesNoKey } from "./strictness.ts";
import { version } from "./version.ts";

export function buildApp(): Hono<AppEnv> {
  // Routes are matched against the path as it was sent: decoding it is the route's affair.
  const app = new Hono<AppEnv>({ getPath: (request) => new URL(request.url).pathname });
  const router = new LeaderRouter();

  app.use(addHeaders);
  app.onError(answerError);
  app.notFound(() => problemResponse(notFound));

  app.get("/health", (c) => c.json({ status: "ok", version }));
  app.all("/health", allowOnly("GET", "HEAD"));
  app.get("/openapi.json", (c) => c.json(openApi));
  app.all("/openapi.json", allowOnly("GET", "HEAD"));

  app.use(requireSettings);
  app.use(requireCaller);
  app.use("/v1/:ensemble/*", requireEnsemble);
  app.use("/v1/:ensemble/*", neverOlder);

  for (const keyless of ["sessions", "locks", "elections", "semaphores", "members", "admin"])
    app.use(`/v1/:ensemble/${keyless}/*`, takesNoKey);

  app.get("/v1/:ensemble/znodes/*", (c) => getZnode(c, router));
  app.put("/v1/:ensemble/znodes/*", (c) => putZnode(c, router));
  app.post("/v1/:ensemble/znodes/*", (c) => postZnode(c, router));
  app.delete("/v1/:ensemble/znodes/*", takesNoBody, (c) => deleteZnode(c, router));
  app.all("/v1/:ensemble/znodes/*", allowOnly("GET", "HEAD", "PUT", "POST", "DELETE"));

  app.post("/v1/:ensemble/transactions", (c) => postTransaction(c, router));
  app.all("/v1/:ensemble/transactions", allowOnly("POST"));

  app.post("/v1/:ensemble/sessions", (c) => postSession(c, router));
  app.all("/v1/:ensemble/sessions", allowOnly("POST"));
  app.get("/v1/:ensemble/sessions/:id", (c) => getSession(c, router));
  app.put("/v1/:ensemble/sessions/:id", takesNoBody, (c) => putSession(c, router));
  app.delete("/v1/:ensemble/sessions/:id", takesNoBody, (c) => deleteSession(c, router));
  app.all("/v1/:ensemble/sessions/:id", allowOnly("GET", "HEAD", "PUT", "DELETE"));

  app.get("/v1/:ensemble/locks/*", (c) => getLock(c, router));
  app.post("/v1/:ensemble/locks/*", (c) => postLock(c, router));
  app.put("/v1/:ensemble/locks/*", takesNoBody, (c) => putLock(c, router));
  app.delete("/v1/:ensemble/locks/*", takesNoBody, (c) => deleteLock(c, router));
  app.all("/v1/:ensemble/locks/*", allowOnly("GET", "HEAD", "POST", "PUT", "DELETE"));

  app.get("/v1/:ensemble/elections/*", (c) => getElection(c, router));
  app.post("/v1/:ensemble/elections/*", (c) => postElection(c, router));
  app.put("/v1/:ensemble/elections/*", takesNoBody, (c) => putElection(c, router));
  app.delete("/v1/:ensemble/elections/*", takesNoBody, (c) => deleteElection(c, router));
  app.all("/v1/:ensemble/elections/*", allowOnly("GET", "HEAD", "POST", "PUT", "DELETE"));

  app.get("/v1/:ensemble/semaphores/*", (c) => getSemaphore(c, router));
  app.post("/v1/:ensemble/semaphores/*", (c) => postSemaphore(c, router));
  app.put("/v1/:ensemble/semaphores/*", takesNoBody, (c) => putSemaphore(c, router));
  app.delete("/v1/:ensemble/semaphores/*", takesNoBody, (c) => deleteSemaphore(c, router));
  app.all("/v1/:ensemble/semaphores/*", allowOnly("GET", "HEAD", "POST", "PUT", "DELETE"));

  app.get("/v1/:ensemble/members", getMembers);
  app.post("/v1/:ensemble/members", (c) => postMember(c, router));
  app.all("/v1/:ensemble/members", allowOnly("GET", "HEAD", "POST"));
  app.delete("/v1/:ensemble/members/:id", takesNoBody, (c) => deleteMember(c, router));
  app.all("/v1/:ensemble/members/:id", allowOnly("DELETE"));

  app.get("/v1/:ensemble/admin", listCommands);
  app.all("/v1/:ensemble/admin", allowOnly("GET", "HEAD"));
  app.get("/v1/:ensemble/admin/commands/:command", (c) => getCommand(c, router));
  app.post("/v1/:ensemble/admin/commands/:command", takesNoBodyOfCommand, (c) => getCommand(c, router));
  app.all("/v1/:ensemble/admin/commands/:command", allowOnly("GET", "HEAD", "POST"));
  app.get("/v1/:ensemble/admin/words/:word", (c) => getWord(c, router));
  app.all("/v1/:ensemble/admin/words/:word", allowOnly("GET", "HEAD"));

  app.get("/v1/:ensemble/watch", (c) => watchSocket(c, router));
  app.all("/v1/:ensemble/watch", allowOnly("GET"));
  app.get("/v1/:ensemble/watch/*", (c) => watchEvents(c, router));
  app.all("/v1/:ensemble/watch/*", allowOnly("GET"));

  app.get("/v1/:ensemble/connect", (c) => connect(c, router));
  app.all("/v1/:ensemble/connect", allowOnly("GET"));

  return app;
}

/** On every answer but a 101, which belongs to the member. */
const addHeaders: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  if (c.res.status === 101) return;
  const zxid = c.get("zxid");
  if (zxid !== undefined) c.res.headers.set("Ek-Zxid", zxid);
  if (c.get("repeated") === true) c.res.headers.set("Ek-Repeated", "yes");
  c.res.headers.set("X-Content-Type-Options", "nosniff");
  c.res.headers.set("Cache-Control", "no-store");
  c.res.headers.set("Cross-Origin-Resource-Policy", "same-origin");
};

function answerError(error: Error): Response {
  if (error instanceof Problem) return problemResponse(error.fields);
  console.error({ what: "worker: a request failed", error });
  return problemResponse(internalProblem);
}

const notFound = {
  slug: "not-found",
  title: "No such resource",
  status: 404,
  detail:
    "Cannot find the resource: the API is below /v1/{ensemble}/, as znodes, transactions, sessions, locks, elections, semaphores, watch, members, admin and connect",
};

/** An isolate has one `env`, so its settings are read once. */
const parsedByEnv = new WeakMap<Env, ParsedSettings>();

function settingsOf(env: Env): ParsedSettings {
  const known = parsedByEnv.get(env);
  if (known !== undefined) return known;
  const parsed = parseSettings(env);
  parsedByEnv.set(env, parsed);
  return parsed;
}

/** With a setting that cannot be read, nothing is served: its default might be the opposite of the wish. */
const requireSettings: MiddlewareHandler<AppEnv> = async (c, next) => {
  const parsed = settingsOf(c.env);
  if (!parsed.ok) {
    throw new Problem({
      slug: "bad-settings",
      title: "Settings are not valid",
      status: 503,
      detail: `Cannot serve anybody: ${parsed.faults.join(" ")}`,
      more: { faults: parsed.faults },
    });
  }
  c.set("settings", parsed.settings);
  await next();
};

const requireEnsemble: MiddlewareHandler<AppEnv> = async (c, next) => {
  const name = c.req.param("ensemble") ?? "";
  const ensemble = findEnsemble(name, c.get("settings"), c.env);
  if (ensemble === undefined) {
    throw new Problem({
      slug: "unknown-ensemble",
      title: "Ensemble does not exist",
      status: 404,
      detail: `Cannot find ensemble ${JSON.stringify(name.slice(0, 63))}: EK_ENSEMBLES does not declare it`,
    });
  }
  c.set("ensemble", ensemble);
  await next();
};
