/**
 * What must hold of a peer after every step, whatever it was told.
 *
 * @module
 */

import { assert, compareZxid } from "../base/index.ts";
import { last, type Peer } from "./peer-state.ts";

/** @throws {@link AssertionFailure} naming the broken relation. */
export function checkRelations(peer: Peer): void {
  const { acceptedEpoch, acceptedLeader, currentEpoch, establishedEpoch } = peer.promises;
  assert(currentEpoch <= acceptedEpoch, "currentEpoch <= acceptedEpoch");
  assert(establishedEpoch <= currentEpoch, "establishedEpoch <= currentEpoch");
  assert((acceptedEpoch === 0) === (acceptedLeader === 0), "an epoch is promised to somebody");
  assert(last(peer).epoch <= acceptedEpoch, "last.epoch <= acceptedEpoch");
  assert(compareZxid(peer.history.outline.base, peer.applied) <= 0, "base <= applied");
  assert(compareZxid(peer.applied, peer.delivered) <= 0, "applied <= delivered");
  assert(compareZxid(peer.delivered, last(peer)) <= 0, "delivered <= last");
  checkConfigs(peer);
  checkRole(peer);
}

function checkConfigs({ config, pending, delivered, history }: Peer): void {
  if (pending === undefined) return;
  assert(compareZxid(pending.version, config.version) > 0, "a pending configuration is the later one");
  assert(compareZxid(pending.version, history.last) <= 0, "a pending configuration is in the log");
  assert(compareZxid(pending.version, delivered) > 0, "a delivered configuration is not pending");
}

function checkRole(peer: Peer): void {
  const { role, promises } = peer;
  if (role.kind === "leading") {
    const joined = role.phase === "discovery" || promises.currentEpoch === role.epoch;
    assert(
      role.epoch === 0 || promises.acceptedEpoch === role.epoch,
      "a leader has promised its epoch to itself",
    );
    assert(joined, "a leader past discovery has joined its epoch");
    assert(role.phase !== "broadcast" || promises.establishedEpoch === role.epoch, "established is durable");
  } else if (role.kind === "learning" && role.stage !== "attaching") {
    const joined = role.stage === "joined" || role.stage === "serving";
    assert(promises.acceptedEpoch === role.epoch, "a learner has promised its leader's epoch");
    assert(promises.acceptedLeader === role.leader, "a learner has promised its epoch to its leader");
    assert(!joined || promises.currentEpoch === role.epoch, "ACKLEADER follows currentEpoch");
  }
}
