/**
 * What clients do with their sessions: watched registers, ephemerals, and locks by the usual recipe.
 *
 * The recipe: a sequential ephemeral under the lock, a list of the contenders, a watch on the one before; the
 * token is the zxid that created the contender. A contender is found again by its name's beginning when the
 * answer to its creation was lost. A second kind of user locks over HTTP, without a connection.
 *
 * @module
 */

import {
  AddWatchMode,
  type ClientRequest,
  CreateMode,
  EventType,
  OPEN_ACL,
  OpCode,
  parseZxid,
  type ServerId,
  ZkErrorCode,
  type Zxid,
} from "../../../src/base/index.ts";
import type { LockAnswer } from "../../../src/objects/index.ts";
import type { Grant, Resource } from "../checks/locks.ts";
import type { SimClient } from "./client.ts";

export interface UserWorld {
  readonly now: number;
  readonly resource: Resource;
  readonly acknowledged: Zxid;
  /** Highest zxid that any member has logged. */
  readonly logged: Zxid;
  choose(n: number): number;
  after(delayMs: number, run: () => void): void;
  granted(grant: Grant): void;
  /** Calls a member as the Worker does; `undefined` when nobody knows what became of it. */
  ask(member: ServerId, method: string, args: readonly unknown[], done: (answer: unknown) => void): void;
  anyMember(): ServerId;
  leader(): ServerId;
  count(what: string): void;
}

const lockPath = "/lock";
const createFlags = { acl: OPEN_ACL, ttlMs: -1 };

function create(path: string, flags: number, text = ""): ClientRequest {
  return { type: OpCode.Create2, path, data: new TextEncoder().encode(text), flags, ...createFlags };
}

/** Draws the next request of one who works on registers and watches them. */
export function drawRequest(world: UserWorld, client: SimClient, paths: number): ClientRequest {
  const path = `/r${world.choose(paths)}`;
  const below = world.choose(3) === 0 ? `${path}/c${world.choose(2)}` : path;
  const watch = world.choose(2) === 1;
  const data = new TextEncoder().encode(`${client.id} ${world.choose(1_000_000)}`);
  switch (world.choose(16)) {
    case 0:
    case 1:
      return { type: OpCode.GetData, path: below, watch };
    case 2:
    case 3:
      return { type: OpCode.Exists, path: below, watch };
    case 4:
      return { type: OpCode.GetChildren, path: world.choose(3) === 0 ? "/" : path, watch };
    case 5:
    case 6:
    case 7:
      return { type: OpCode.SetData, path: below, data, version: -1 };
    case 8:
    case 9:
      return { ...create(below, CreateMode.Persistent), data } as ClientRequest;
    case 10:
      return create(`${path}/e${client.id}`, CreateMode.Ephemeral);
    case 11:
    case 12:
      return { type: OpCode.Delete, path: below, version: -1 };
    case 13:
      return { type: OpCode.Sync, path };
    case 14:
      if (world.choose(4) > 0) return { type: OpCode.GetData, path: below, watch: true };
      return {
        type: OpCode.AddWatch,
        path,
        mode: world.choose(2) === 0 ? AddWatchMode.Persistent : AddWatchMode.PersistentRecursive,
      };
    default:
      return {
        type: OpCode.Multi,
        ops: [
          { type: OpCode.Create, path: `${path}/m`, data, flags: CreateMode.Persistent, ...createFlags },
          { type: OpCode.SetData, path, data, version: -1 },
          { type: OpCode.Delete, path: `${path}/m`, version: -1 },
        ],
      };
  }
}

/** One that takes a lock again and again, by the recipe. */
export class LockClient {
  readonly client: SimClient;
  readonly #world: UserWorld;
  #attempt = 0;
  #state: "idle" | "busy" | "waiting" | "holding" = "idle";
  #contender: string | undefined;
  #mayExist = false;
  #awaited: string | undefined;

  constructor(world: UserWorld, client: SimClient) {
    this.#world = world;
    this.client = client;
    client.onEvent = (event) => {
      if (event === undefined) this.#forget();
      else if (
        this.#state === "waiting" &&
        event.path === this.#awaited &&
        event.type === EventType.NodeDeleted
      )
        this.#state = "idle";
    };
  }

  /** The next step of the recipe, if it can be taken. */
  think(): void {
    if (!this.client.isOpen || this.#state === "busy" || this.#state === "holding") return;
    if (this.#state === "waiting") return;
    if (this.#contender === undefined && !this.#mayExist) {
      this.#attempt += 1;
      this.#mayExist = true;
      this.#ask(
        create(`${lockPath}/${this.#prefix}__lock__`, CreateMode.EphemeralSequential),
        ({ err, body }) => {
          if (err === ZkErrorCode.NoNode) {
            this.#mayExist = false;
            this.#ask(create(lockPath, CreateMode.Persistent), () => undefined);
          } else if (body?.kind === "create2") this.#contender = body.path.slice(lockPath.length + 1);
        },
      );
    } else this.#look();
  }

  get #prefix(): string {
    return `k${this.client.id}-${this.#attempt}`;
  }

  #look(): void {
    this.#ask({ type: OpCode.GetChildren, path: lockPath, watch: false }, ({ body, zxid }) => {
      if (body?.kind !== "children") return;
      const queue = body.children
        .filter((name) => /__r?lock__\d{10}$/.test(name))
        .sort((a, b) => Number(a.slice(-10)) - Number(b.slice(-10)));
      const place = queue.findIndex((name) => name.startsWith(`${this.#prefix}__`));
      const own = queue[place];
      if (own === undefined) return this.#forget();
      this.#contender = own;
      const ahead = queue[place - 1];
      if (ahead !== undefined) return this.#await(`${lockPath}/${ahead}`);
      this.#hold(own, zxid);
    });
  }

  #await(path: string): void {
    this.#ask({ type: OpCode.Exists, path, watch: true }, ({ err }) => {
      if (err !== ZkErrorCode.Ok) return;
      // A watch left behind where nothing stands any more tells of nothing; it was just looked at.
      this.#awaited = path;
      this.#state = "waiting";
    });
  }

  /** Holds: the token is the zxid that created the contender, so that has to be read. */
  #hold(own: string, zxid: Zxid): void {
    this.#ask({ type: OpCode.Exists, path: `${lockPath}/${own}`, watch: false }, ({ body }) => {
      if (body?.kind !== "stat") return;
      const token = body.stat.czxid;
      const world = this.#world;
      world.count("lock granted");
      const at = { from: zxid, through: zxid };
      world.granted({ path: lockPath, contender: own, token, isShared: false, ...at });
      this.#state = "holding";
      // Writes of a holder that come late, some when the lock is somebody else's.
      for (let uses = 0; uses < 3; uses++)
        world.after(world.choose(3_000), () => void world.resource.use(token));
      world.after(world.choose(1_500), () => this.#release(own));
    });
  }

  #release(own: string): void {
    if (this.#state !== "holding") return;
    this.#state = "idle";
    this.#ask({ type: OpCode.Delete, path: `${lockPath}/${own}`, version: -1 }, () => this.#forget());
  }

  #ask(
    request: ClientRequest,
    done: (reply: NonNullable<Parameters<NonNullable<Parameters<SimClient["request"]>[1]>>[0]>) => void,
  ): void {
    const attempt = this.#attempt;
    this.#state = "busy";
    this.client.request(request, (reply) => {
      if (attempt !== this.#attempt) return;
      this.#state = "idle";
      if (reply !== undefined) done(reply);
    });
  }

  /** The session is over, or the contender gone: the next attempt has another name. */
  #forget(): void {
    this.#state = "idle";
    this.#contender = undefined;
    this.#mayExist = false;
    this.#awaited = undefined;
  }
}

/** One that locks over HTTP: asks, waits in the call, keeps alive, releases, or forgets about it. */
export class HttpLocker {
  readonly #world: UserWorld;
  readonly #number: number;
  #attempt = 0;
  #isBusy = false;
  #held: { readonly id: string; readonly isShared: boolean } | undefined;
  #member: ServerId;

  constructor(world: UserWorld, number: number) {
    this.#world = world;
    this.#number = number;
    this.#member = world.anyMember();
  }

  think(): void {
    const world = this.#world;
    if (this.#isBusy) return;
    if (this.#held === undefined) {
      this.#attempt += 1;
      const isShared = world.choose(3) === 0;
      const id = `h${this.#number}x${this.#attempt}`;
      const mode = isShared ? "shared" : "exclusive";
      const owner = `user ${this.#number}`;
      const ttlMs = 2_000 + 1_000 * world.choose(4);
      const request = {
        path: httpLockPath,
        id,
        mode,
        ttlMs,
        waitMs: world.choose(4_000),
        owner,
        identities: [],
      };
      return this.#call("acquireLock", [request], id, isShared);
    }
    const { id, isShared } = this.#held;
    const reference = { path: httpLockPath, id, identities: [] };
    const draw = world.choose(4);
    if (draw === 0) this.#held = undefined;
    else this.#call(draw === 1 ? "keepLock" : "releaseLock", [reference], id, isShared);
  }

  #call(method: string, args: readonly unknown[], id: string, isShared: boolean): void {
    const world = this.#world;
    const from = world.acknowledged;
    this.#isBusy = true;
    world.ask(this.#member, method, args, (answer) => {
      this.#isBusy = false;
      this.#told(answer as LockAnswer | undefined, { id, isShared, from });
    });
  }

  #told(
    answer: LockAnswer | undefined,
    { id, isShared, from }: { readonly id: string; readonly isShared: boolean; readonly from: Zxid },
  ): void {
    const world = this.#world;
    if (answer?.kind === "granted") {
      const token = parseZxid(answer.token);
      if (token === undefined) throw new Error(`a token that is no zxid: ${answer.token}`);
      world.count(`http lock granted ${answer.mode}`);
      const contender = `ek-${id}__`;
      world.granted({ path: httpLockPath, contender, token, isShared, from, through: world.logged });
      this.#held = { id, isShared };
      if (!isShared) world.after(world.choose(2_000), () => void world.resource.use(token));
      return;
    }
    this.#held = undefined;
    if (answer?.kind === "notLeader" && answer.leader !== 0) this.#member = answer.leader;
    else if (answer === undefined || answer.kind === "notLeader") this.#member = world.anyMember();
    else world.count(`http lock ${answer.kind}`);
  }
}

/** Apart from the recipe's: a plain `Lock` does not wait for shared holders. */
const httpLockPath = "/hlock";
