/**
 * Adding, moving and removing members, step by step, at the leader.
 *
 * A step is a txn, or a wait, or a call to the object of a new member. Which one comes next is read from the
 * configuration there is, and nothing else is remembered: whoever repeats an order, here or at the next
 * leader, goes on where it stopped. A new member learns of the ensemble before the ensemble names it; it
 * becomes a voter once it is level, in the same txn in which the member that it replaces leaves.
 *
 * @module
 */

import {
  type AuthId,
  compareZxid,
  type EnsembleMember,
  formatZxid,
  NO_SESSION,
  OpCode,
  type ReconfigRequest,
  type Requester,
  type ServerId,
  ZkErrorCode,
  zxidToBigint,
} from "../base/index.ts";
import {
  defaultAddress,
  formatServers,
  locationOf,
  parseServers,
  presentServers,
  type ServerLine,
  type Tree,
} from "../tree/index.ts";
import type { Config } from "../zab/index.ts";
import type { Joined, JoinOrder, MemberOrder, MembersAnswer } from "./api.ts";
import type { Replica } from "./replica.ts";
import type { Settlement } from "./writes.ts";

/** How long one order waits for a new member to be level; after that it is to be repeated. */
const levelWaitMs = 10_000;
const levelPollMs = 50;

/** How long an object may take to say that it has joined; its first start may be far away. */
const joinWaitMs = 5_000;

/** When a leader tells observers that have not attached, in peer ticks of its reign: soon, and then now and then. */
const remindTicksFirst = 15;
const remindTicks = 100;

/** Steps of one order: join, add, promote, and one more for a change that came between. */
const stepsMax = 6;

export interface ReconfiguringParts {
  readonly replica: Pick<Replica, "ensemble" | "isLevel"> & {
    readonly status: Pick<Replica["status"], "learners">;
  };
  readonly tree: Tree;
  /** The ensemble's. */
  readonly secret: string;
  /** Calls `joinEnsemble` of a server's object, made at `location` if it is new. Rejects when that failed. */
  joinPeer(id: ServerId, location: string | undefined, order: JoinOrder): Promise<Joined>;
  /** Proposes; `undefined` when this member does not lead. */
  write(request: ReconfigRequest, requester: Requester): Promise<Settlement>;
  isLeading(): boolean;
}

export class Reconfiguring {
  readonly #parts: ReconfiguringParts;
  /** Members of the committed configuration, as of the last look. */
  #known: ReadonlySet<ServerId>;

  constructor(parts: ReconfiguringParts) {
    this.#parts = parts;
    this.#known = new Set(parts.replica.ensemble.membership.members.map(({ id }) => id));
  }

  /** Whom a client's own reconfig has added is told by the leader; after an order of ours that is once more. */
  reconfigured({ members }: Config): void {
    const added = members.filter(({ id }) => !this.#known.has(id));
    this.#known = new Set(members.map(({ id }) => id));
    if (!this.#parts.isLeading()) return;
    const servers = parseServers(this.#text()) ?? [];
    for (const { id } of added) {
      const line = servers.find((server) => server.id === id);
      // Nobody waits for it: an order is repeated, and who is level is known to the peer.
      void this.#join(id, line === undefined ? undefined : locationOf(line));
    }
  }

  /**
   * A tick has passed, of which this is how many of this member's reign. Whoever led before may have died before
   * it told a new member. Only observers can be such: who votes has been attached.
   */
  tick(ticksLed: number): void {
    if (ticksLed % remindTicks !== remindTicksFirst) return;
    const { ensemble, status } = this.#parts.replica;
    const isAbsent = ({ id, role }: EnsembleMember) => role === "observer" && !status.learners.includes(id);
    if (!ensemble.membership.members.some(isAbsent)) return;
    for (const line of this.#present()) if (isAbsent(line)) void this.#join(line.id, locationOf(line));
  }

  /** Makes a server a member in a role, in the place of another one if asked to. */
  async add(order: MemberOrder, identities: readonly AuthId[]): Promise<MembersAnswer> {
    const waitUntilMs = Date.now() + levelWaitMs;
    for (let step = 0; step < stepsMax; step++) {
      if (!this.#parts.isLeading()) return { kind: "unknown" };
      const present = this.#present();
      const mine = present.find(({ id }) => id === order.id);
      const isThere = (id: ServerId | undefined) => present.some((server) => server.id === id);
      if (step === 0 && mine !== undefined) await this.#remind(order, mine);
      if (mine?.role === order.role && !isThere(order.replaces)) return this.#done();
      const failed =
        mine === undefined
          ? await this.#enrol(order, present, identities)
          : await this.#settle(order, present, { identities, waitUntilMs });
      if (failed !== undefined) return failed;
    }
    return waiting("the members keep changing");
  }

  async remove(id: ServerId, identities: readonly AuthId[]): Promise<MembersAnswer> {
    const { membership } = this.#parts.replica.ensemble;
    const present = this.#present();
    if (!present.some((server) => server.id === id)) {
      return membership.retired?.includes(id) === true
        ? this.#done()
        : refused(ZkErrorCode.NoNode, `server ${id} is no member`);
    }
    const rest = present.filter((server) => server.id !== id);
    return (await this.#change(rest, identities)) ?? this.#done();
  }

  /** Whom a client's own reconfig has named may never have been told, if the leader died or the call failed. */
  async #remind({ id, role, location }: MemberOrder, mine: ServerLine): Promise<void> {
    const losesItsVote = mine.role === "voter" && role === "observer";
    if (!losesItsVote && !this.#parts.replica.isLevel(id)) await this.#join(id, location ?? locationOf(mine));
  }

  /** First an observer: it costs nobody a quorum while it catches up. */
  async #enrol(
    { id, location, replaces }: MemberOrder,
    present: readonly ServerLine[],
    identities: readonly AuthId[],
  ): Promise<MembersAnswer | undefined> {
    const { membership } = this.#parts.replica.ensemble;
    if (membership.retired?.includes(id) === true) {
      return refused(
        ZkErrorCode.BadArguments,
        `server ${id} was a member before, and ids are not used again`,
      );
    }
    if (replaces !== undefined && !present.some((server) => server.id === replaces)) {
      return refused(ZkErrorCode.BadArguments, `server ${replaces}, which it is to replace, is no member`);
    }
    const joined = await this.#join(id, location);
    if (joined === "unreachable") return waiting(`the object of server ${id} did not answer`);
    if (joined === "foreign") {
      return refused(ZkErrorCode.BadArguments, `the object of server ${id} belongs to another ensemble`);
    }
    const address = defaultAddress(id, location);
    return this.#change([...present, { id, role: "observer", address, client: undefined }], identities);
  }

  async #join(id: ServerId, location: string | undefined): Promise<Joined> {
    const { version, membership } = this.#parts.replica.ensemble;
    const { members, retired = [] } = membership;
    const order = { secret: this.#parts.secret, version: formatZxid(version), members, retired };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<Joined>((resolve) => {
      timer = setTimeout(() => resolve("unreachable"), joinWaitMs);
    });
    try {
      return await Promise.race([this.#parts.joinPeer(id, location, order), tooLate]);
    } catch {
      return "unreachable";
    } finally {
      if (timer !== undefined) clearTimeout(timer);
    }
  }

  async #settle(
    { id, role, replaces }: MemberOrder,
    present: readonly ServerLine[],
    { identities, waitUntilMs }: { identities: readonly AuthId[]; waitUntilMs: number },
  ): Promise<MembersAnswer | undefined> {
    // Only who is to be relied on must have caught up.
    const isNeeded = role === "voter" || replaces !== undefined;
    while (isNeeded && !this.#parts.replica.isLevel(id) && this.#parts.isLeading()) {
      if (Date.now() >= waitUntilMs) return waiting(`server ${id} has not caught up yet`);
      await new Promise((resolve) => setTimeout(resolve, levelPollMs));
    }
    const rest = present.filter((server) => server.id !== replaces);
    return this.#change(
      rest.map((server) => (server.id === id ? { ...server, role } : server)),
      identities,
    );
  }

  /** `undefined` when the change is committed and applied here. */
  async #change(
    servers: readonly ServerLine[],
    identities: readonly AuthId[],
  ): Promise<MembersAnswer | undefined> {
    const { version } = this.#parts.replica.ensemble;
    const settled = await this.#parts.write(
      {
        type: OpCode.Reconfig,
        joiningServers: null,
        leavingServers: null,
        newMembers: formatServers(servers),
        curConfigId: zxidToBigint(version),
      },
      { sessionId: NO_SESSION, identities },
    );
    if (settled.kind === "lost") return { kind: "unknown" };
    const { outcome } = settled.applied;
    if (outcome.kind !== "refused") return undefined;
    // Somebody else has changed something: look again.
    if (
      outcome.code === ZkErrorCode.BadVersion &&
      compareZxid(version, this.#parts.replica.ensemble.version) < 0
    )
      return undefined;
    return refused(outcome.code, reasons[outcome.code]);
  }

  #text(): string {
    return new TextDecoder().decode(this.#parts.tree.get("/zookeeper/config")?.data ?? undefined);
  }

  #present(): readonly ServerLine[] {
    return presentServers(this.#parts.replica.ensemble, this.#text());
  }

  #done(): MembersAnswer {
    return {
      kind: "done",
      version: formatZxid(this.#parts.replica.ensemble.version),
      members: this.#present().map(({ id, role, address }) => ({ id, role, address })),
    };
  }
}

export function idsIn({ members }: Config, role: "voter" | "observer"): readonly ServerId[] {
  return members.filter((member) => member.role === role).map(({ id }) => id);
}

const reasons: Readonly<Record<number, string>> = {
  [ZkErrorCode.BadArguments]: "there would be nobody to vote, or two members in one place",
  [ZkErrorCode.NewConfigNoQuorum]: "a quorum of the members there would be is not attached and level",
};

function waiting(reason: string): MembersAnswer {
  return { kind: "waiting", reason };
}

function refused(code: ZkErrorCode, reason?: string): MembersAnswer {
  return { kind: "refused", code, reason };
}
