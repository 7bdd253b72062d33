/**
 * How a resumed leader asks its voters back: SOLICIT, and again to those that have not attached.
 *
 * @module
 */

import type { ServerId } from "../base/index.ts";
import { isVoterId, type Leading, type Peer, send } from "./peer-state.ts";

export function solicit(peer: Peer, leading: Leading, to: ServerId): void {
  send(peer, to, { kind: "solicit", epoch: leading.epoch });
}

/** Asks every voter that has not attached, now and then: it may have been about to follow somebody else. */
export function solicitAgain(peer: Peer, leading: Leading): void {
  if (peer.now < leading.solicitAt) return;
  leading.solicitAt = peer.now + 2 * peer.options.notifyEveryTicksMin;
  for (const id of peer.others) {
    if (isVoterId(peer, id) && !leading.slots.has(id)) solicit(peer, leading, id);
  }
}
