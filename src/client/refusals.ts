/**
 * What a server's error code means for the operation it refused, in words.
 *
 * @module
 */

import { ZkErrorCode, type ZkErrorName, zkErrorName } from "../base/index.ts";
import { ZkError } from "./errors.ts";

const reasons: Partial<Record<ZkErrorName, string>> = {
  NoNode: "it, or its parent, does not exist",
  NodeExists: "it exists already",
  NotEmpty: "it has children",
  BadVersion: "it is at another version",
  NoAuth: "none of this connection's identities has the permission",
  NoChildrenForEphemerals: "its parent is ephemeral",
  InvalidACL: "the ACL is empty, or names a scheme or an id that the server does not take",
  BadArguments: "the server does not take the arguments",
  Unimplemented: "the server does not know this operation",
  ThrottledOp: "the server is overloaded and has refused it",
  QuotaExceeded: "a quota, or the ensemble's storage, would be exceeded",
  SessionMoved: "the session has been taken up by another connection",
  NoWatcher: "there is no such watch",
  ReconfigDisabled: "the ensemble does not allow reconfiguration",
  ReconfigInProgress: "another reconfiguration is under way",
  NewConfigNoQuorum: "no quorum of the new configuration is connected",
  MarshallingError: "the server could not read the request",
  NotReadOnly: "the server is read-only",
  SystemError: "the server failed",
};

/** An answer with an error: the server has decided, so nothing was applied. */
export function explain(err: number, action: string, path: string | undefined): ZkError {
  const name = zkErrorName(err);
  const code = name === undefined ? ZkErrorCode.SystemError : ZkErrorCode[name];
  const reason = (name === undefined ? undefined : reasons[name]) ?? `the server answered ${name ?? err}`;
  const what = path === undefined ? action : `${action} "${path}"`;
  return new ZkError({ code, message: `Cannot ${what}: ${reason}`, path });
}

/** A server that answers something else than was asked; a write may have been applied. */
export function malformed(action: string, path: string | undefined): ZkError {
  const message = `Cannot ${action} "${path ?? ""}": the server's answer is of another kind`;
  return new ZkError({ code: ZkErrorCode.MarshallingError, message, path, outcome: "unknown" });
}
