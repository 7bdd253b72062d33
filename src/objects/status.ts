/**
 * What a member says of itself to whoever looks.
 *
 * @module
 */

import { formatZxid } from "../base/index.ts";
import type { Tree } from "../tree/index.ts";
import type { MemberStatus } from "./api.ts";
import { idsIn } from "./reconfiguring.ts";
import type { Replica } from "./replica.ts";

export interface StatusParts {
  readonly replica: Replica;
  readonly tree: Tree;
  readonly incarnation: number;
  readonly serving: boolean;
  readonly connections: number;
}

export function describe(parts: StatusParts): Omit<MemberStatus, "id" | "bootstrap"> {
  const { replica, tree, incarnation, serving, connections } = parts;
  const { role, phase, leader, epoch, lastLogged, lastCommitted, config } = replica.status;
  return {
    voters: idsIn(config, "voter"),
    observers: idsIn(config, "observer"),
    configVersion: formatZxid(config.version),
    role,
    phase,
    serving,
    leader,
    epoch,
    lastLogged: formatZxid(lastLogged),
    lastCommitted: formatZxid(lastCommitted),
    lastApplied: formatZxid(tree.applied),
    incarnation,
    sessions: tree.sessionCount,
    connections,
    unreadable: replica.unreadable,
    halted: replica.halted,
  };
}
