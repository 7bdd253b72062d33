/**
 * The checker of configurations, on histories of {1,2,3} becoming {3,4,5} that are told by hand.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import {
  makeServerId,
  makeZxid,
  NO_SESSION,
  type ServerId,
  type Txn,
  ZERO_ZXID,
} from "../../../src/base/index.ts";
import { encodeTxn } from "../../../src/jute/index.ts";
import type { Config, ConfigMember } from "../../../src/zab/index.ts";
import { Disk } from "../disk.ts";
import { MembershipChecks } from "./memberships.ts";

const ids = [1, 2, 3, 4, 5].map(makeServerId);
const voters = (...of: readonly number[]): ConfigMember[] =>
  of.map((id) => ({ id: makeServerId(id), role: "voter" }));

const first: Config = { version: ZERO_ZXID, members: voters(1, 2, 3) };
const next: Config = { version: makeZxid(1, 1), members: voters(3, 4, 5), retired: [] };
const txn: Txn = {
  sessionId: NO_SESSION,
  cxid: 1,
  timeMs: 0,
  op: { kind: "reconfig", servers: "", members: next.members, retired: [] },
};

/** Server 1 proposes; those who store it have it durably. */
function told(stored: readonly number[], storageOf: (id: ServerId) => string | undefined = () => undefined) {
  const checks = new MembershipChecks(first, storageOf);
  for (const id of ids) {
    const disk = new Disk(first);
    checks.addMember(id, disk);
    if (!stored.includes(id)) continue;
    disk.open();
    disk.write({
      kind: "append",
      prev: ZERO_ZXID,
      batch: { epoch: 1, first: 1, payloads: [encodeTxn(txn)] },
    });
    disk.close();
    disk.confirm(1, () => undefined);
    if (stored[0] === id) for (const entry of disk.log) checks.proposed(id, entry);
    checks.logged(id, disk.log);
    disk.open();
    disk.write({ kind: "configs", committed: first, pending: next });
    disk.close();
  }
  return checks;
}

describe("C2", () => {
  it("takes a configuration that quorums of both have stored", () => {
    const checks = told([1, 2, 4, 5]);
    checks.durable(makeServerId(1), next);
    checks.committed(next.version, txn);
    expect([...checks.governing.voters.keys()]).toEqual([3, 4, 5]);
    expect(checks.changes).toBe(1);
  });

  it.each([
    ["the old one alone", [1, 2]],
    ["the new one alone", [1, 4, 5]],
  ])("refuses one that a quorum of %s has stored", (_name, stored) => {
    expect(() => told(stored).committed(next.version, txn)).toThrow(
      /C2: 0x100000001 counts without a quorum/,
    );
    expect(() => told(stored).durable(makeServerId(1), next)).toThrow("C2");
  });

  it("refuses one that nobody proposed, or not so", () => {
    const other = { ...next, members: voters(3, 4) };
    expect(() => told([1, 2, 4, 5]).durable(makeServerId(1), other)).toThrow("not proposed so");
    expect(() => told([]).committed(next.version, txn)).toThrow("proposed by nobody");
  });
});

describe("C1", () => {
  it("wants a quorum of the configuration that governs to have joined", () => {
    const checks = told([1, 2, 4, 5]);
    checks.committed(next.version, txn);
    expect(() => checks.leads(makeServerId(3), 2, (id) => (id >= 4 ? 2 : 1))).not.toThrow();
    expect(() => checks.leads(makeServerId(3), 2, (id) => (id <= 3 ? 2 : 1))).toThrow("C1");
  });
});

describe("C3", () => {
  it("wants the configuration in the log to be pending, and no other", () => {
    const checks = told([1, 2]);
    checks.stands(makeServerId(1));
    checks.truncated(makeServerId(1), ZERO_ZXID);
    expect(() => checks.stands(makeServerId(1))).toThrow("which its log does not end with");
    const unaware = told([1]);
    unaware.addMember(makeServerId(1), new Disk(first));
    unaware.logged(makeServerId(1), [{ ...next.version, payload: encodeTxn(txn), chain: 0 }]);
    expect(() => unaware.stands(makeServerId(1))).toThrow("does not count with it");
  });
});

describe("a quorum", () => {
  it("can go on without a minority that is out of reach, of both configurations while one is pending", () => {
    const stored = (...by: readonly number[]) => ({
      without: (...out: readonly number[]) => told(by).canDoWithout(new Set(out.map(makeServerId))),
    });
    const { without } = stored(1, 2, 4, 5);
    expect([without(), without(3), without(2), without(1, 2)]).toEqual([true, true, true, false]);
    // 5 does not know that it is to be a member, so 3 and 4 are all that there is of the new quorum.
    expect([stored(1, 2, 4).without(), stored(1, 2, 4).without(4)]).toEqual([true, false]);
  });
});
