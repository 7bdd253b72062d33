/**
 * The one error vocabulary of the project: ZooKeeper's codes, with Java's names and numbers.
 *
 * Source: ZooKeeper `KeeperException.Code`.
 *
 * @module
 */

/** Codes a server may send, and three that clients make for themselves. */
export const ZkErrorCode = {
  Ok: 0,
  SystemError: -1,
  RuntimeInconsistency: -2,
  DataInconsistency: -3,
  ConnectionLoss: -4,
  MarshallingError: -5,
  Unimplemented: -6,
  OperationTimeout: -7,
  BadArguments: -8,
  UnknownSession: -12,
  NewConfigNoQuorum: -13,
  ReconfigInProgress: -14,
  ApiError: -100,
  NoNode: -101,
  NoAuth: -102,
  BadVersion: -103,
  NoChildrenForEphemerals: -108,
  NodeExists: -110,
  NotEmpty: -111,
  SessionExpired: -112,
  InvalidCallback: -113,
  InvalidACL: -114,
  AuthFailed: -115,
  SessionMoved: -118,
  NotReadOnly: -119,
  EphemeralOnLocalSession: -120,
  NoWatcher: -121,
  RequestTimeout: -122,
  ReconfigDisabled: -123,
  SessionClosedRequireSaslAuth: -124,
  QuotaExceeded: -125,
  ThrottledOp: -127,
} as const;
export type ZkErrorCode = (typeof ZkErrorCode)[keyof typeof ZkErrorCode];

export type ZkErrorName = keyof typeof ZkErrorCode;

const namesByCode = new Map<number, ZkErrorName>(
  Object.entries(ZkErrorCode).map(([name, code]) => [code, name as ZkErrorName]),
);

/** Java's name of a code; `undefined` for a number that is none. */
export function zkErrorName(code: number): ZkErrorName | undefined {
  return namesByCode.get(code);
}
