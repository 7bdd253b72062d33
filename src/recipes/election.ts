/**
 * Leader election: a lock whose holder leads, and whose queue is the line of succession.
 *
 * The layout is the lock's, and so kazoo's `Election`: contenders in order, each with its own id as data.
 * Whoever leads has a token; what the leader writes elsewhere should carry it, since a leader that stood
 * still learns too late that another one leads.
 *
 * Source: ZooKeeper recipes "Leader Election"; kazoo `recipe/election.py`.
 *
 * @module
 */

import { queueOf } from "../base/index.ts";
import {
  type Client,
  isZkError,
  type Lock,
  type LockOptions,
  persistently,
  undefinedIf,
  undefinedIfPassing,
} from "../client/index.ts";

/** Who leads: its id, as it gave it, and its token. */
export interface Leader {
  readonly id: string;
  readonly token: bigint;
}

export interface CandidateOptions extends Pick<LockOptions, "signal" | "lockDelay"> {
  /** What others see. */
  readonly id: string;
}

/**
 * Stands for election and resolves when this client leads. The lock is the leadership: its `signal` ends
 * it, its `token` proves it, `release` resigns.
 *
 * @throws {@link ZkError} As `Client.lock`.
 * @example
 * await using leadership = await stand(zk, "/leader", { id: "node-1" });
 * await lead({ signal: leadership.signal, token: leadership.token });
 */
export function stand(zk: Client, path: string, { id, signal, lockDelay }: CandidateOptions): Promise<Lock> {
  return zk.lock(path, { owner: id, signal, lockDelay });
}

/**
 * Leads whenever it is this client's turn, again and again, until the signal aborts or the client is closed: through
 * lost connections and ended sessions.
 *
 * @param lead - Called with each leadership; when it returns, the leadership is given up, and the client
 *   stands again. What it throws ends everything.
 * @throws {@link ZkError} As `Client.lock`, but for what passes: `ConnectionLoss`, `OperationTimeout`, `ThrottledOp`.
 */
export async function lead(
  zk: Client,
  path: string,
  options: CandidateOptions & { readonly signal: AbortSignal },
  work: (leadership: Lock) => Promise<void>,
): Promise<void> {
  for (;;) {
    const leadership = await persistently(zk, options.signal, () => stand(zk, path, options));
    if (leadership === undefined) return;
    try {
      await work(leadership);
    } finally {
      // What is not known to be released yet is released behind us, and stands in the next one's way until then.
      await leadership.release().catch(undefinedIfPassing);
    }
  }
}

/** Who leads now, `undefined` when nobody does. */
export async function leaderOf(zk: Client, path: string, signal?: AbortSignal): Promise<Leader | undefined> {
  for (;;) {
    const first = await firstContender(zk, path, signal);
    if (first === undefined) return undefined;
    try {
      const { text, stat } = await zk.get(first, { signal });
      return { id: text, token: stat.czxid };
    } catch (error) {
      // Gone between the two looks: look for its successor.
      if (!isZkError(error, "NoNode")) throw error;
    }
  }
}

/**
 * The leaders, one after the other, as this client sees them; the first is the present one.
 *
 * Leaders that came and went between two looks are left out. Ends when the signal aborts.
 */
export async function* observeLeader(
  zk: Client,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Leader | undefined, void, undefined> {
  let last: Leader | undefined | "none yet" = "none yet";
  const events = zk.watch(path, { subtree: true, buffer: 1, signal });
  await events.ready;
  for (;;) {
    const leader = await leaderOf(zk, path, signal);
    const isNew = last === "none yet" || leader?.token !== last?.token;
    last = leader;
    if (isNew) yield leader;
    if ((await events.next()).done === true) return;
  }
}

async function firstContender(zk: Client, path: string, signal?: AbortSignal): Promise<string | undefined> {
  const [first] = queueOf((await zk.children(path, { signal }).catch(undefinedIf("NoNode"))) ?? []);
  return first === undefined ? undefined : `${path}/${first.name}`;
}
