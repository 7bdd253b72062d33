/**
 * Respond: what a writer is told, once its txn has applied.
 *
 * @module
 */

import {
  assert,
  type MultiOp,
  type MultiResult,
  OpCode,
  type Outcome,
  type Stat,
  unreachable,
  type WriteRequest,
  ZkErrorCode,
  type Znode,
} from "../base/index.ts";
import type { OpResult } from "./apply.ts";
import { normalizeInMulti } from "./create-plan.ts";
import { statOf } from "./znodes.ts";

/** What a txn came to. */
export type TxnOutcome =
  /** One result per change; none for a session's txns. */
  | { readonly kind: "done"; readonly results: readonly OpResult[] }
  | { readonly kind: "refused"; readonly code: ZkErrorCode }
  | { readonly kind: "multiRefused"; readonly codes: readonly ZkErrorCode[] };

/**
 * The answer to `request`, given what its txn came to.
 *
 * A failed multi is a success on the outside: its codes are in the body.
 */
export function respond(request: WriteRequest, outcome: TxnOutcome): Outcome {
  switch (outcome.kind) {
    case "refused":
      return { err: outcome.code };
    case "multiRefused": {
      const results = outcome.codes.map((code): MultiResult => ({ kind: "error", code }));
      return { err: ZkErrorCode.Ok, body: { kind: "multi", results } };
    }
    case "done":
      return respondDone(request, outcome.results);
    default:
      return unreachable(outcome);
  }
}

function respondDone(request: WriteRequest, results: readonly OpResult[]): Outcome {
  const err = ZkErrorCode.Ok;
  switch (request.type) {
    case OpCode.Keyed:
      return respondDone(request.request, results);
    case OpCode.Create:
      return { err, body: { kind: "create", path: only(results).path } };
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl: {
      const result = only(results);
      return { err, body: { kind: "create2", path: result.path, stat: statIn(result) } };
    }
    case OpCode.SetData:
    case OpCode.SetAcl:
      return { err, body: { kind: "stat", stat: statIn(only(results)) } };
    case OpCode.Reconfig: {
      const znode = present(only(results).znode);
      return { err, body: { kind: "data", data: znode.data, stat: statOf(znode) } };
    }
    case OpCode.Multi: {
      assert(request.ops.length === results.length, "every part of a multi has a result");
      return {
        err,
        body: { kind: "multi", results: results.map((result, at) => partResult(request.ops[at], result)) },
      };
    }
    default:
      return { err };
  }
}

function partResult(part: MultiOp | undefined, result: OpResult): MultiResult {
  const { path } = result;
  assert(part !== undefined, "every result has a part");
  switch (part.type) {
    case OpCode.Delete:
      return { kind: "deleted" };
    case OpCode.SetData:
      return { kind: "dataSet", stat: statIn(result) };
    case OpCode.Check:
    case OpCode.CheckLock:
      return { kind: "checked" };
    default:
      if (normalizeInMulti(part).type === OpCode.Create) return { kind: "created", path };
      return { kind: "createdWithStat", path, stat: statIn(result) };
  }
}

function statIn({ znode, stat }: OpResult): Stat {
  return stat ?? statOf(present(znode));
}

function only(results: readonly OpResult[]): OpResult {
  const [result] = results;
  assert(result !== undefined && results.length === 1, "a single write has a single result");
  return result;
}

function present(znode: Znode | undefined): Znode {
  assert(znode !== undefined, "a write leaves its znode behind");
  return znode;
}
