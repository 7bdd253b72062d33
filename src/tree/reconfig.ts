/**
 * Reconfig: what a request to change the members becomes.
 *
 * The tree knows members as text and roles. Whether a change can be agreed to now is asked of the shell,
 * which asks Zab; the refusals keep ZooKeeper's order.
 *
 * Differs from ZooKeeper: one voter is enough, an id is never used again, and groups and weights are not
 * built.
 *
 * Source: ZooKeeper `PrepRequestProcessor.pRequest2Txn` (case `reconfig`), `QuorumPeer.processReconfig`.
 *
 * @module
 */

import {
  type EnsembleMember,
  type Membership,
  type ReconfigRequest,
  type ServerId,
  type TxnOp,
  ZkErrorCode,
  type Zxid,
  zxidToBigint,
} from "../base/index.ts";
import {
  defaultAddress,
  formatServers,
  parseServerIds,
  parseServers,
  type ServerLine,
} from "./config-text.ts";

/** The members as they are, and whether they may become others: for {@link PrepareContext}. */
export interface EnsembleView {
  /** Of the committed configuration. */
  readonly version: Zxid;
  readonly membership: Membership;
  /** Another change is proposed and not committed. */
  readonly isChanging: boolean;
  /** The storage that a member is attached with; `undefined` when it is not attached. */
  storageIdOf(id: ServerId): string | undefined;
  /** Whether a quorum of these voters is attached and level, each with the storage it is known by. */
  hasQuorum(next: Membership): boolean;
}

type ReconfigOp = Extract<TxnOp, { kind: "reconfig" }>;

/** A change, or the first reason against it. ACLs are checked afterwards: ZooKeeper looks at them last. */
export function planReconfig(
  ensemble: EnsembleView,
  presentText: string,
  request: ReconfigRequest,
): ReconfigOp | ZkErrorCode {
  if (ensemble.isChanging) return ZkErrorCode.ReconfigInProgress;
  const { curConfigId } = request;
  if (curConfigId !== -1n && curConfigId !== zxidToBigint(ensemble.version)) return ZkErrorCode.BadVersion;
  // No id, and ZooKeeper fails over the number instead of the list.
  if (request.newMembers === null && parseServerIds(request.leavingServers ?? "") === undefined) {
    return ZkErrorCode.MarshallingError;
  }
  const present = presentServers(ensemble, presentText);
  const wanted = request.newMembers === null ? change(present, request) : replace(request.newMembers);
  if (wanted === undefined || !isSound(wanted)) return ZkErrorCode.BadArguments;
  const { retired: formerly = [] } = ensemble.membership;
  if (wanted.some(({ id }) => formerly.includes(id))) return ZkErrorCode.BadArguments;

  const left = present.map(({ id }) => id).filter((id) => !wanted.some((server) => server.id === id));
  const retired = [...formerly, ...left];
  const next = { members: wanted.map((server) => memberFor(ensemble, server)), retired };
  if (!ensemble.hasQuorum(next)) return ZkErrorCode.NewConfigNoQuorum;
  return { kind: "reconfig", servers: formatServers(wanted), ...next };
}

/** The committed members, with the addresses that the text has for them. */
export function presentServers({ membership }: EnsembleView, text: string): readonly ServerLine[] {
  const lines = parseServers(text) ?? [];
  return membership.members.map(({ id, role }) => {
    const { address = defaultAddress(id, undefined), client } = lines.find((line) => line.id === id) ?? {};
    return { id, role, address, client };
  });
}

/** Leaving first, then joining; whoever joins again takes the place it had. Nothing is a change too. */
function change(
  present: readonly ServerLine[],
  { joiningServers, leavingServers }: ReconfigRequest,
): readonly ServerLine[] | undefined {
  const leaving = parseServerIds(leavingServers ?? "");
  const joining = parseServers(joiningServers ?? "");
  if (leaving === undefined || joining === undefined) return undefined;
  // As in ZooKeeper, who joins says where clients find it.
  if (joining.some(({ client }) => client === undefined)) return undefined;
  const stays = present.filter(({ id }) => !leaving.includes(id) && !joining.some((one) => one.id === id));
  return [...stays, ...joining];
}

function replace(newMembers: string): readonly ServerLine[] | undefined {
  return parseServers(newMembers);
}

/** Somebody votes, and no two listen in one place. */
function isSound(servers: readonly ServerLine[]): boolean {
  const places = servers.flatMap(({ address }) =>
    address.split("|").flatMap((one) => {
      const [, host = "", quorumPort = "", electionPort = ""] = /^(.+):(\d+):(\d+)$/.exec(one) ?? [];
      return [`${host}:${quorumPort}`, `${host}:${electionPort}`];
    }),
  );
  return servers.some(({ role }) => role === "voter") && new Set(places).size === places.length;
}

/** A voter keeps the storage it votes with; anybody else is known by the one it is attached with. */
function memberFor(ensemble: EnsembleView, { id, role }: ServerLine): EnsembleMember {
  const present = ensemble.membership.members.find((member) => member.id === id);
  const attached = ensemble.storageIdOf(id);
  const storageId = present?.role === "voter" ? present.storageId : (attached ?? present?.storageId);
  return storageId === undefined ? { id, role } : { id, role, storageId };
}
