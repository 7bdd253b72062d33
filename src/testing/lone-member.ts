/**
 * An ensemble of one member in memory: the tree, sessions and connections of a deployed member, without
 * storage, other members or a network. What it proposes is committed at once, since it is the quorum.
 *
 * Like a deployed member it works in turns: an event is handled without waiting, and at the end of its turn
 * what has gathered is proposed, applied and answered.
 *
 * @module
 */

import { makeServerId, makeZxid, OpCode, type SessionId, type Txn, zxidToBigint } from "../base/index.ts";
import { Connection, Leading, peerTickMs, Reception, ServerStats } from "../objects/portable/index.ts";
import { MemoryRows, Tree, type WatcherId } from "../tree/index.ts";

/** More than any test keeps: nothing is ever written elsewhere, so nothing may be evicted. */
const cacheBytesMax = 1024 * 1024 * 1024;

/** There is one leader, and never another. */
const epoch = 1;

export interface LoneMemberParts {
  /** ZooKeeper's `tickTime`, ms. */
  readonly tickMs: number;
  now(): number;
  /** Runs something soon, behind everything that was to be run before. */
  soon(run: () => void): void;
  setTimer(run: () => void, ms: number): void;
}

/** The other end of a client's connection. */
export interface Caller {
  received(bytes: Uint8Array): void;
  closed(reason: string): void;
}

/** A client's connection, as the client uses it. */
export interface Line {
  send(bytes: Uint8Array): void;
  close(): void;
}

export class LoneMember {
  readonly #parts: LoneMemberParts;
  readonly #tree: Tree;
  readonly #leading: Leading;
  readonly #reception: Reception;
  readonly #callers = new Map<Connection, Caller>();
  #lastWatcher = 0;
  #lastIdBlock = 0;

  constructor(parts: LoneMemberParts) {
    this.#parts = parts;
    const { tickMs, now } = parts;
    const tree = new Tree(new MemoryRows(), { cacheBytesMax, ttlNodes: true });
    this.#tree = tree;
    this.#leading = new Leading({
      id: makeServerId(1),
      ...{ epoch, tree, tickMs, now },
      vigil: undefined,
      takeIdBlock: () => {
        this.#lastIdBlock += 1;
        return this.#lastIdBlock;
      },
      lastSign: () => undefined,
      nextZxid: () => makeZxid(epoch, tree.applied.counter + 1),
      propose: (txns) => {
        for (const txn of txns) this.#apply(txn);
      },
      // Nobody is so far away that company would be worth a wait.
      later: (_ms, run) => this.#later(run),
      answer: () => undefined,
      readIndex: (id) => this.#leading.confirmed(id, true),
    });
    this.#reception = new Reception({
      ...{ tree, tickMs, now },
      secret: "in memory",
      authRules: { superDigest: undefined, token: undefined, requiredSchemes: [] },
      stats: new ServerStats(),
      throttledOpWaitMs: 0,
      agreement: () => this.#leading,
      // Who has the session is known by its connection; the others are ended when the txn applies.
      bind: () => undefined,
      changed: () => undefined,
      watchesChanged: () => undefined,
    });
    this.#tickLater();
  }

  /** A client connects. It hears, and is heard, from the next turn on. */
  open(caller: Caller): Line {
    this.#lastWatcher += 1;
    const connection = new Connection(this.#reception, this.#lastWatcher, {
      identities: [{ scheme: "ip", id: "127.0.0.1" }],
      mustShowToken: false,
    });
    this.#callers.set(connection, caller);
    return {
      send: (bytes) => this.#turn(() => connection.receive(bytes, true)),
      close: () => this.#forget(connection),
    };
  }

  hasSession(id: SessionId): boolean {
    return this.#tree.hasSession(id);
  }

  /** Ends a session as its timeout would. */
  expire(id: SessionId): void {
    this.#turn(() => {
      if (!this.#tree.isOpen(id)) return;
      const requester = { sessionId: id, identities: [] };
      this.#leading.submit({ type: OpCode.CloseSession }, { requester, cxid: 0, settle: () => undefined });
    });
  }

  #turn(run: () => void): void {
    run();
    this.#leading.flush();
    for (const connection of [...this.#callers.keys()]) this.#flush(connection);
  }

  #flush(connection: Connection): void {
    const caller = this.#callers.get(connection);
    const output = connection.takeOutput();
    if (output !== undefined) caller?.received(output);
    if (connection.ending !== undefined) {
      this.#forget(connection);
      caller?.closed(connection.ending.reason);
    } else if (connection.isStalled || connection.canGoOn) {
      this.#later(() => connection.resume());
    }
  }

  #forget(connection: Connection): void {
    this.#callers.delete(connection);
    this.#tree.watches.drop(connection.watcher);
    connection.end({ kind: "drop", reason: "closed by the client" });
  }

  #apply(txn: Txn): void {
    const zxid = makeZxid(epoch, this.#tree.applied.counter + 1);
    const applied = this.#tree.apply(zxid, txn);
    const byWatcher = new Map([...this.#callers.keys()].map((each) => [each.watcher, each]));
    for (const trigger of applied.triggers) {
      const canRead = (watcher: WatcherId) =>
        this.#tree.canRead(trigger.acl, byWatcher.get(watcher)?.requester.identities ?? []);
      for (const { watcher, event } of this.#tree.watches.fire(trigger, canRead)) {
        byWatcher.get(watcher)?.notify(event, zxidToBigint(zxid));
      }
    }
    const { session, closedSession } = applied;
    for (const connection of byWatcher.values()) {
      if (connection.sessionId === session?.id && connection.requester.ownership !== session.ownership) {
        connection.end({ kind: "close", reason: "session connected again" });
      }
    }
    this.#leading.applied(zxid, txn, applied);
    for (const connection of byWatcher.values()) {
      if (connection.sessionId !== closedSession || connection.isClosing) continue;
      connection.end({ kind: "close", reason: "session closed" });
    }
  }

  #later(run: () => void): () => void {
    let isCalledOff = false;
    this.#parts.soon(() => {
      if (!isCalledOff) this.#turn(run);
    });
    return () => {
      isCalledOff = true;
    };
  }

  #tickLater(): void {
    this.#parts.setTimer(() => {
      this.#turn(() => this.#leading.tick());
      this.#tickLater();
    }, peerTickMs);
  }
}
