/**
 * The one error that the SDK throws, and what it says about a write's fate.
 *
 * Sources: ZooKeeper `KeeperException`; which of its codes leave the outcome open is a client's knowledge.
 *
 * @module
 */

import { ZkErrorCode, type ZkErrorName, zkErrorName } from "../base/index.ts";

/** `notApplied`: nothing has changed and nothing will. `unknown`: the write may have been applied. */
export type WriteOutcome = "notApplied" | "unknown";

export interface ZkErrorParts {
  readonly code: ZkErrorCode;
  /** Sentence case, no full stop: what was tried, a colon, why not. */
  readonly message: string;
  readonly path?: string | undefined;
  /** Default: `notApplied`. */
  readonly outcome?: WriteOutcome | undefined;
  readonly cause?: unknown;
}

const hints: Partial<Record<ZkErrorName, string>> = {
  ConnectionLoss:
    "The client reconnects by itself; read back what a write meant to change before repeating it",
  OperationTimeout: "If `outcome` is `unknown`, read back what a write meant to change before repeating it",
  SessionExpired:
    "Ephemeral znodes, locks and registrations of the session are gone; the client has opened another session",
  NoNode: "Create the parents first, or use `createPath`",
  NodeExists: "Read it, or use `set`",
  BadVersion: "Somebody else changed it: read it again and decide anew",
  NotEmpty: "Delete the children first, or use `deleteTree`",
  NoAuth: "Authenticate with `addAuth`, or ask the owner of the znode for the permission",
  AuthFailed: "Check the token or the credentials",
  ThrottledOp: "The server is overloaded: wait a little and try again",
  QuotaExceeded: "The quota of an ancestor, or the ensemble's storage, is used up",
};

/**
 * What every operation of the SDK rejects with.
 *
 * `outcome` answers the question that matters after a failed write: may it have happened?
 */
export class ZkError extends Error {
  override readonly name = "ZkError";
  /** ZooKeeper's number, negative. */
  readonly code: ZkErrorCode;
  /** ZooKeeper's (Java's) name of the code. */
  readonly codeName: ZkErrorName;
  /** The znode concerned, as the caller named it. */
  readonly path: string | undefined;
  readonly outcome: WriteOutcome;
  /** What to do, when there is something better than reading the message. */
  readonly hint: string | undefined;

  constructor({ code, message, path, outcome, cause }: ZkErrorParts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.codeName = zkErrorName(code) ?? "SystemError";
    this.path = path;
    this.outcome = outcome ?? "notApplied";
    this.hint = hints[this.codeName];
  }
}

/**
 * Whether something caught is a {@link ZkError}, of the named code when one is given.
 *
 * @example
 * await zk.create("/app").catch((error) => {
 *   if (!isZkError(error, "NodeExists")) throw error;
 * });
 */
export function isZkError(error: unknown, codeName?: ZkErrorName): error is ZkError {
  return error instanceof ZkError && (codeName === undefined || error.codeName === codeName);
}

/**
 * For `catch`, where what is missing, or is there already, is as good as done: makes a refusal with one of these
 * codes `undefined`, and throws everything else on.
 *
 * @example
 * await zk.delete("/app").catch(undefinedIf("NoNode"));
 */
export function undefinedIf(...codeNames: readonly ZkErrorName[]): (error: unknown) => undefined {
  return (error) => {
    if (!codeNames.some((codeName) => isZkError(error, codeName))) throw error;
    return undefined;
  };
}

/** An argument that no server would take: nothing was sent. */
export function badArguments(message: string, path?: string): ZkError {
  return new ZkError({ code: ZkErrorCode.BadArguments, message, path });
}
