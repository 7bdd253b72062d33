/**
 * Places: ephemerals by which a session holds something or waits for it, taken once and given up for certain.
 *
 * A create whose answer is lost may have been applied. So every place bears a mark of its own, in its name or as its
 * data, and who does not know looks for the mark before it tries again. A place that is given up is looked for and
 * deleted for as long as its session lives, however long the connection is away: the session's end deletes the rest.
 *
 * Invariants:
 * - A taking ends with one place, or with none that outlives its giving up.
 * - Only what bears the mark, or a number that nobody else gets, is deleted: never the place of another taking, also
 *   when that one has the same name and the same session.
 *
 * Why one look is enough: on one connection requests take effect in order, so the create came before the look; and
 * once a session has another connection, the server refuses what still comes by the old one (`SessionMoved`).
 *
 * Sources: Curator `CreateBuilder#withProtection`; kazoo `recipe/lock.py` (`_best_effort_cleanup`).
 *
 * @module
 */

import { CreateMode, formatSessionId, joinPath, makeSessionId } from "../base/index.ts";
import { orAbort } from "./abort.ts";
import type { Client } from "./client.ts";
import { isZkError, undefinedIf, ZkError } from "./errors.ts";
import { isPassing, persistently } from "./persistence.ts";
import type { Data, ZnodeStat } from "./znode.ts";

export interface Place {
  readonly path: string;
  readonly stat: ZnodeStat;
  /** Deletes it; gone already is success. One attempt: for {@link leave}. */
  readonly remove: () => Promise<void>;
}

/** How to make a place, and how to know it again. */
interface Taking {
  create(): Promise<Place>;
  /** `undefined`: it is not there, and will not come. */
  find(signal?: AbortSignal): Promise<Place | undefined>;
}

/**
 * Takes a numbered place below `parent`, which must exist.
 *
 * @param nameOf - The name without its number, from a mark that it has to begin with.
 * @throws {@link ZkError} As `Client.create`; the signal's reason. What may have been made is given up then.
 */
export function takeNumbered(
  client: Client,
  parent: string,
  nameOf: (mark: string) => string,
  data: Data,
  signal: AbortSignal | undefined,
): Promise<Place> {
  const mark = newMark();
  const mode = CreateMode.EphemeralSequential;
  const placeAt = (path: string, stat: ZnodeStat): Place => ({
    path,
    stat,
    remove: () => client.delete(path).catch(orGone),
  });
  const taking: Taking = {
    async create() {
      const options = { mode, recall: signal };
      const { path, stat } = await client.createWithStat(joinPath(parent, nameOf(mark)), data, options);
      return placeAt(path, stat);
    },
    async find(until) {
      await client.sync(parent, { signal: until });
      for (const name of (await client.children(parent, { signal: until }).catch(orGone)) ?? []) {
        if (!name.startsWith(mark)) continue;
        const path = joinPath(parent, name);
        const stat = await client.exists(path, { signal: until });
        if (stat !== undefined && isOurs(client, stat)) return placeAt(path, stat);
      }
      return undefined;
    },
  };
  return take(client, taking, signal);
}

/**
 * Takes the place of a name, below a znode that must exist. Its data is its mark.
 *
 * @throws {@link ZkError} `NodeExists` when another has it, one of this session's too; else as {@link takeNumbered}.
 */
export function takeNamed(client: Client, path: string, signal: AbortSignal | undefined): Promise<Place> {
  const mark = newMark();
  const placeOf = (stat: ZnodeStat): Place => ({
    path,
    stat,
    // Others may have the name by now: an earlier attempt may have succeeded without our knowing.
    remove: async () => {
      if ((await taking.find()) !== undefined) await client.delete(path).catch(orGone);
    },
  });
  const taking: Taking = {
    async create() {
      const { stat } = await client.createWithStat(path, mark, {
        mode: CreateMode.Ephemeral,
        recall: signal,
      });
      return placeOf(stat);
    },
    async find(until) {
      await client.sync(path, { signal: until });
      const znode = await client.get(path, { signal: until }).catch(orGone);
      return znode?.text === mark && isOurs(client, znode.stat) ? placeOf(znode.stat) : undefined;
    },
  };
  return take(client, taking, signal);
}

async function take(client: Client, taking: Taking, signal: AbortSignal | undefined): Promise<Place> {
  for (;;) {
    const creating = taking.create();
    try {
      return await orAbort(creating, signal);
    } catch (error) {
      const { sessionId } = client;
      if (signal?.aborted === true) void giveUp(client, sessionId, taking, creating);
      if (signal?.aborted === true || !isUnknown(error)) throw error;
      try {
        const found = await taking.find(signal);
        if (found !== undefined) return found;
      } catch (failure) {
        void giveUp(client, sessionId, taking, creating);
        throw failure;
      }
    }
  }
}

/** What comes of a create that is not waited for any more is deleted. */
async function giveUp(
  client: Client,
  sessionId: string | undefined,
  taking: Taking,
  creating: Promise<Place>,
): Promise<void> {
  let place: Place | undefined;
  try {
    place = await creating;
  } catch (error) {
    if (!isUnknown(error)) return;
  }
  await whileSessionLives(client, sessionId, async () => {
    place ??= await taking.find();
    await place?.remove();
  });
}

/** Tries of `leave` that its caller waits for, when one connection after the other is lost. */
const leaveTriesMax = 5;

/**
 * Gives a place up, and resolves when it is gone.
 *
 * @param remove - One attempt, which may follow one that took effect.
 * @throws {@link ZkError} `ConnectionLoss`, `OperationTimeout`, `ThrottledOp`: not known to be gone yet. It goes on
 *   being tried while the session lives. Anything else is a refusal, and only the session's end takes the place away.
 */
export async function leave(client: Client, remove: () => Promise<void>): Promise<void> {
  const { sessionId } = client;
  for (let tries = 1; ; tries++) {
    try {
      return await remove();
    } catch (error) {
      if (isZkError(error, "SessionExpired")) return;
      if (isZkError(error, "ConnectionLoss") && tries < leaveTriesMax) continue;
      if (isPassing(error)) void whileSessionLives(client, sessionId, remove);
      throw error;
    }
  }
}

/** As {@link leave}, for who has something else to tell its caller. */
export function leaveLater(client: Client, remove: () => Promise<void>): void {
  leave(client, remove).catch(() => undefined);
}

/** Runs until it succeeds, the session has ended, or it is refused. Never rejects. */
async function whileSessionLives(
  client: Client,
  sessionId: string | undefined,
  run: () => Promise<void>,
): Promise<void> {
  const end = new AbortController();
  const look = () => {
    if (client.state.kind === "closed" || client.sessionId !== sessionId) end.abort();
  };
  const forget = client.onState(look);
  look();
  await persistently(client, end.signal, run).catch(() => undefined);
  forget();
}

function newMark(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

function isUnknown(error: unknown): boolean {
  return error instanceof ZkError && error.outcome === "unknown";
}

/** Of the session that this client has now. */
export function isOurs(client: Client, { ephemeralOwner }: ZnodeStat): boolean {
  return formatSessionId(makeSessionId(ephemeralOwner)) === client.sessionId;
}

const orGone = undefinedIf("NoNode");
