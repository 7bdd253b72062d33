/**
 * Proves what an order to add or remove a member waits for, and what it does again when it is repeated.
 *
 * A leader with a real tree; whatever it proposes is committed at once, and the other members are names.
 *
 * @module
 */

import { afterEach, describe, expect, test, vi } from "vitest";
import { assert, type EnsembleMember, makeServerId, makeZxid, type ServerId } from "../../src/base/index.ts";
import { Reconfiguring } from "../../src/objects/reconfiguring.ts";
import { formatConfig, formatServers, MemoryRows, parseServers, Tree } from "../../src/tree/index.ts";

const [one, two, three] = [1, 2, 3].map(makeServerId) as [ServerId, ServerId, ServerId];

const lineOf = ({ id, role }: EnsembleMember) => ({
  id,
  role,
  address: `member-${id}:2888:3888`,
  client: undefined,
});

/** Server 1 leads. */
class World {
  members: readonly EnsembleMember[];
  /** Whom the leader has told of the ensemble. */
  readonly joined: ServerId[] = [];
  readonly level: Set<ServerId>;
  /** Attached to the leader. */
  learners: readonly ServerId[] = [];
  /** Whoever is told of the ensemble never answers. */
  hangs = false;
  #changes = 0;
  readonly orders: Reconfiguring;

  constructor(members: readonly EnsembleMember[], level: readonly ServerId[]) {
    this.members = members;
    this.level = new Set(level);
    const world = this;
    const version = () => makeZxid(1, this.#changes + 1);
    const ensemble = {
      get version() {
        return version();
      },
      get membership() {
        return { members: world.members };
      },
      isChanging: false,
      storageIdOf: () => undefined,
      hasQuorum: () => true,
    };
    const config = formatConfig(formatServers(members.map(lineOf)), version());
    this.orders = new Reconfiguring({
      replica: {
        ensemble,
        isLevel: (id) => this.level.has(id),
        get status() {
          return { learners: world.learners };
        },
      },
      tree: new Tree(new MemoryRows(), { cacheBytesMax: 1_000_000, config }),
      secret: "5".repeat(64),
      joinPeer: async (id) => {
        this.joined.push(id);
        if (this.hangs) return await new Promise<never>(() => undefined);
        this.level.add(id);
        return "joined";
      },
      write: async ({ newMembers }) => {
        const servers = parseServers(newMembers ?? "");
        assert(servers !== undefined, "the leader names the members");
        this.members = servers.map(({ id, role }) => ({ id, role }));
        this.#changes += 1;
        const outcome = { kind: "done", results: [] } as const;
        return { kind: "applied", zxid: version(), applied: { outcome, triggers: [] } };
      },
      isLeading: () => true,
    });
  }
}

const voters: readonly EnsembleMember[] = [one, two, three].map((id) => ({ id, role: "voter" }));

afterEach(() => {
  vi.useRealTimers();
});

describe("a leader", () => {
  const named: readonly EnsembleMember[] = [...voters.slice(0, 2), { id: three, role: "observer" }];
  const reign = (world: World) => {
    for (let tick = 1; tick <= 300; tick++) world.orders.tick(tick);
    return world.joined;
  };

  test("tells an observer that has not attached, now and then: whoever named it may have died", () => {
    expect(reign(new World(named, [one, two]))).toEqual([three, three, three]);
  });

  test("tells nobody who is attached, and no voter", () => {
    const world = new World(named, [one, two]);
    world.learners = [two, three];
    expect(reign(world)).toEqual([]);
    expect(reign(new World(voters, [one]))).toEqual([]);
  });
});

describe("an order", () => {
  test("makes an observer of a voter that is away: a failed one need not catch up to lose its vote", async () => {
    const world = new World(voters, [one, two]);
    expect(await world.orders.add({ id: three, role: "observer" }, [])).toMatchObject({ kind: "done" });
    expect(world.members.map(({ role }) => role)).toEqual(["voter", "voter", "observer"]);
  });

  test.each(["observer", "voter"] as const)(
    "to make a member that was never told of the ensemble a(n) %s tells it",
    async (role) => {
      // A client's reconfig has named it, and the leader has died before it called.
      const world = new World([...voters.slice(0, 2), { id: three, role: "observer" }], [one, two]);
      expect(await world.orders.add({ id: three, role }, [])).toMatchObject({ kind: "done" });
      expect(world.joined).toEqual([three]);
      expect(world.members[2]).toMatchObject({ id: three, role });
    },
  );

  test("about an object that does not answer is to be repeated, and not waited for", async () => {
    vi.useFakeTimers();
    const world = new World(voters, [one, two, three]);
    world.hangs = true;
    const answer = world.orders.add({ id: makeServerId(4), role: "observer" }, []);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await answer).toMatchObject({ kind: "waiting", reason: "the object of server 4 did not answer" });
    expect(world.members).toEqual(voters);
  });

  test("that is done, about members that are level, calls nobody", async () => {
    const world = new World(voters, [one, two, three]);
    expect(await world.orders.add({ id: three, role: "voter" }, [])).toMatchObject({ kind: "done" });
    expect(world.joined).toEqual([]);
  });
});
