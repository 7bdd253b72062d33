/**
 * The invariants of Zab on hand-told histories: what a crash undoes, and whose it was.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { makeServerId, NO_SESSION, type ServerId, ZERO_ZXID } from "../../../src/base/index.ts";
import { encodeTxn } from "../../../src/jute/index.ts";
import type { Config } from "../../../src/zab/index.ts";
import { Disk, type DiskOp } from "../disk.ts";
import { ProtocolChecks } from "./protocol.ts";

const payload = encodeTxn({
  sessionId: NO_SESSION,
  cxid: 0,
  timeMs: 1,
  op: { kind: "error", code: -101 },
});
const append: DiskOp = {
  kind: "append",
  prev: ZERO_ZXID,
  batch: { epoch: 1, first: 1, payloads: [payload] },
};

const [one, two, three] = [makeServerId(1), makeServerId(2), makeServerId(3)];

/** Three voters, of which the first has established epoch 1. */
function begin() {
  const config: Config = {
    version: ZERO_ZXID,
    members: [one, two, three].map((id) => ({ id, role: "voter" as const })),
    retired: [],
  };
  const checks = new ProtocolChecks(config, 100, { now: () => 0, storageOf: () => undefined });
  const disks = new Map([one, two, three].map((id) => [id, new Disk(config)]));
  for (const [id, disk] of disks) checks.addMember(id, disk);
  const diskOf = (id: ServerId): Disk => disks.get(id) ?? expect.fail(`no disk ${id}`);

  function write(id: ServerId, op: DiskOp): void {
    const disk = diskOf(id);
    const before = disk.promises;
    disk.open();
    disk.write(op);
    disk.close();
    if (op.kind === "append") checks.appended(id, disk.log.slice(-op.batch.payloads.length));
    if (op.kind === "promises") checks.promised(id, before, op.promises);
  }

  function confirm(id: ServerId): void {
    diskOf(id).confirm(Number.POSITIVE_INFINITY, (op) => checks.durable(id, op));
  }

  function crash(id: ServerId): void {
    diskOf(id).crash(
      0,
      () => {},
      (op) => {
        if (op.kind === "append") checks.appendLost(id, op);
      },
    );
  }

  function wipe(id: ServerId): void {
    crash(id);
    diskOf(id).wipe(config);
    checks.wiped(id);
  }

  const promises = { acceptedEpoch: 1, acceptedLeader: one, currentEpoch: 1 };
  write(one, { kind: "promises", promises: { ...promises, establishedEpoch: 1 } });
  write(two, { kind: "promises", promises: { ...promises, establishedEpoch: 0 } });
  confirm(one);
  confirm(two);
  return { write, confirm, crash, wipe };
}

describe("a lost append", () => {
  it("has never been, when it was its author's", () => {
    const { write, crash } = begin();
    write(one, append);
    crash(one);
    expect(() => write(two, append)).toThrow("B1: 2 stores (1,1), which no established leader proposed");
  });

  it("undoes nothing, when it was somebody else's", () => {
    const { write, confirm, crash } = begin();
    write(one, append);
    confirm(one);
    write(two, append);
    crash(two);
    expect(() => write(two, append)).not.toThrow();
  });

  it("undoes nothing, when it was a copy for the author, whose storage was lost", () => {
    const { write, confirm, crash, wipe } = begin();
    write(one, append);
    confirm(one);
    write(two, append);
    confirm(two);
    wipe(one);
    write(one, append);
    crash(one);
    expect(() => write(one, append)).not.toThrow();
  });

  it("has never been, when it was lost together with its author's storage", () => {
    const { write, wipe } = begin();
    write(one, append);
    wipe(one);
    expect(() => write(two, append)).toThrow("B1: 2 stores (1,1), which no established leader proposed");
  });
});
