/**
 * `Idempotency-Key` down to members that agree and store: what was decided under one leader is told by the next.
 */

import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { CreateMode, type KeyedRequest, OPEN_ACL, OpCode } from "../../src/base/index.ts";
import type { Answer } from "../../src/objects/index.ts";
import { TestEnsemble } from "../objects/ensemble.ts";

function keyed(at: number): KeyedRequest {
  const create = { type: OpCode.Create2, path: "/s-", data: new Uint8Array(10), acl: OPEN_ACL } as const;
  return {
    type: OpCode.Keyed,
    key: at.toString(16).padStart(64, "0"),
    fingerprint: "f".repeat(64),
    request: { ...create, flags: CreateMode.PersistentSequential, ttlMs: -1 },
  };
}

const call = (at: number) => ({ request: keyed(at), identities: [], consistency: "linearizable" }) as const;

/** Asks whoever leads until it is answered. */
async function ask(ensemble: TestEnsemble, at: number): Promise<Extract<Answer, { kind: "answered" }>> {
  for (;;) {
    const answer = await (await ensemble.leader()).perform(call(at)).catch(() => undefined);
    if (answer?.kind === "answered") return answer as Extract<Answer, { kind: "answered" }>;
  }
}

test("worker: Idempotency-Key: a leader without memory, and another one, tell what the first decided", async () => {
  const ensemble = await TestEnsemble.start(3);
  const first = await ask(ensemble, 1);
  expect(first).toMatchObject({ outcome: { body: { path: "/s-0000000000" } }, repeated: false });
  const leader = await ensemble.leaderId();
  await runInDurableObject(ensemble.stub(leader), (_, state) => state.abort("Instance dispose")).catch(
    () => {},
  );
  expect(await ask(ensemble, 1)).toEqual({ ...first, repeated: true });

  const second = await ensemble.leaderId();
  await ensemble.stub(second).removeMember(second, [{ scheme: "super", id: "" }]);
  expect(await ask(ensemble, 1)).toEqual({ ...first, repeated: true });
  expect(await ensemble.leaderId()).not.toBe(second);
  expect(await ask(ensemble, 2)).toMatchObject({ outcome: { body: { path: "/s-0000000001" } } });
});
