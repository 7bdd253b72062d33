/**
 * What others may do about a lock that is held: ask its holder to give it back, or take it from it.
 *
 * A request for the lock is `__REVOKE__` at the end of the data of the holder's contender; alone it is what
 * Curator's `Revoker` writes, so a `Revoker` reaches our holders. kazoo's holders have nothing like it, and do not
 * listen. A steal deletes the holder's contender, whosever it is, in one transaction with a record of who
 * did it and why. It gives the lock to nobody: the next in the queue has it, with a greater token.
 *
 * Sources: Curator `Revoker`, `Revocable`.
 *
 * @module
 */

import {
  contenderData,
  formatZxid,
  joinPath,
  queueOf,
  revokedData,
  stealsName,
  stealTextMax,
  withSteal,
  ZkErrorCode,
  zxidFromBigint,
} from "../base/index.ts";
import {
  type Client,
  isZkError,
  type Lock,
  orAbort,
  type Transaction,
  undefinedIf,
  ZkError,
  type Znode,
} from "../client/index.ts";

/** The grant that is meant: where, and under which token. */
export interface Grant {
  readonly path: string;
  readonly token: bigint;
}

export interface StealOptions {
  /** Who does it; kept. 1 to 1,024 characters. */
  readonly by: string;
  /** Why; kept. 1 to 1,024 characters. */
  readonly reason: string;
}

/** How often to look again when others changed what it is about. */
const roundsMax = 5;

/**
 * Asks the holder of a grant to give the lock back. Nothing happens unless it listens: `untilRevoked`, or the
 * `revocation_requested` of an HTTP lock.
 *
 * @throws {@link ZkError} `NoNode` when the lock is not held under the token; `ConnectionLoss`, after which asking
 *   again does no harm.
 */
export async function revokeLock(zk: Client, grant: Grant): Promise<void> {
  await intervene(zk, grant, "revoke", async (holder) => {
    await zk.set(holder.path, revokedData(holder.text), { version: holder.stat.version });
  });
}

/**
 * Resolves to true once somebody asks for the lock back, to false when it has ended before.
 *
 * @example
 * void untilRevoked(zk, lock).then((asked) => asked && lock.release());
 */
export async function untilRevoked(zk: Client, lock: Lock): Promise<boolean> {
  const { signal } = lock;
  try {
    for (;;) {
      const { text, changed } = await zk.get(lock.contender, { watch: true, signal });
      if (contenderData(text).isRevoked) return true;
      await orAbort(changed, signal);
    }
  } catch (error) {
    if (signal.aborted || isZkError(error, "NoNode") || isZkError(error, "SessionExpired")) return false;
    throw error;
  }
}

/**
 * Takes the lock from its holder, whose `signal` aborts. The next in the queue has it: queue up before.
 *
 * The old holder may be at work still. What checks tokens refuses it once a greater one was seen; a
 * `lockDelay` it asked for is waited for.
 *
 * @throws {@link ZkError} `BadArguments` without `by` or `reason`; `NoNode` when the lock is not held under the token;
 *   `NoAuth`; `ConnectionLoss`: it may have been taken, and the list in `ek-steals` below the lock says so.
 */
export async function stealLock(zk: Client, grant: Grant, { by, reason }: StealOptions): Promise<void> {
  for (const [name, text] of Object.entries({ by, reason })) {
    if (text.length >= 1 && text.length <= stealTextMax) continue;
    const message = `Cannot steal the lock on "${grant.path}": ${name} must have 1 to ${stealTextMax} characters`;
    throw new ZkError({ code: ZkErrorCode.BadArguments, message, path: grant.path });
  }
  await intervene(zk, grant, "steal", async (holder) => {
    const at = joinPath(grant.path, stealsName);
    const stored = await zk.get(at).catch(orGone);
    const { owner } = contenderData(holder.text);
    const token = printed(grant.token);
    const time = new Date(zk.clock.now()).toISOString();
    const list = withSteal(stored?.text ?? "", { token, owner, by, reason, at: time });
    const record = (transaction: Transaction) =>
      stored === undefined ? transaction.create(at, list) : transaction.set(at, list, stored.stat.version);
    await record(zk.transaction().delete(holder.path)).commit();
  });
}

async function intervene(
  zk: Client,
  grant: Grant,
  verb: string,
  act: (holder: Znode) => Promise<void>,
): Promise<void> {
  for (let round = 1; ; round++) {
    const holder = await findHolder(zk, grant);
    if (holder === undefined) {
      const message = `Cannot ${verb} the lock on "${grant.path}": it is not held under token ${printed(grant.token)}`;
      throw new ZkError({ code: ZkErrorCode.NoNode, message, path: grant.path });
    }
    try {
      // No other znode ever gets a contender's name, and a holder stays one until its znode goes.
      return await act(holder);
    } catch (error) {
      const wasOvertaken =
        isZkError(error, "NoNode") || isZkError(error, "BadVersion") || isZkError(error, "NodeExists");
      if (!wasOvertaken || round === roundsMax) throw error;
    }
  }
}

async function findHolder(zk: Client, { path, token }: Grant): Promise<Znode | undefined> {
  // Others may have been granted and lost it at the leader while this connection's member was behind.
  await zk.sync(path);
  const names = (await zk.children(path).catch(orGone)) ?? [];
  for (const { name, holds } of queueOf(names)) {
    const znode = holds ? await zk.get(joinPath(path, name)).catch(orGone) : undefined;
    if (znode?.stat.czxid === token) return znode;
  }
  return undefined;
}

function printed(token: bigint): string {
  const zxid = zxidFromBigint(token);
  return zxid === undefined ? String(token) : formatZxid(zxid);
}

const orGone = undefinedIf("NoNode");
