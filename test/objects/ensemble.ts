/**
 * An ensemble of real members inside workerd, for tests: fresh names, bootstrap, finding the leader.
 *
 * @module
 */

import { env } from "cloudflare:workers";
import { makeServerId, type ServerId } from "../../src/base/index.ts";
import type { Member, MemberStatus } from "../../src/objects/index.ts";
import { TestClient } from "./client.ts";

declare global {
  namespace Cloudflare {
    interface Env {
      MEMBER: DurableObjectNamespace<Member>;
    }
  }
}

let lastEnsemble = 0;

export class TestEnsemble {
  readonly name: string;
  readonly voters: readonly ServerId[];
  readonly observers: readonly ServerId[];
  /** Servers that were added since: asked as well. */
  readonly added: ServerId[] = [];

  private constructor(name: string, voters: readonly ServerId[], observers: readonly ServerId[]) {
    this.name = name;
    this.voters = voters;
    this.observers = observers;
  }

  get ids(): readonly ServerId[] {
    return [...this.voters, ...this.observers, ...this.added];
  }

  /** Bootstrapped, with an established leader. */
  static async start(size: number, observerCount = 0): Promise<TestEnsemble> {
    lastEnsemble += 1;
    const ids = Array.from({ length: size + observerCount }, (_, i) => makeServerId(i + 1));
    const voters = ids.slice(0, size);
    const observers = ids.slice(size);
    const ensemble = new TestEnsemble(`test-${lastEnsemble}-${Date.now()}`, voters, observers);
    const storageIds = Object.fromEntries(ids.map((id) => [id, `${id}`.repeat(32)]));
    const config = { voters, observers, secret: "5".repeat(64), storageIds };
    for (const id of ids) await ensemble.stub(id).prepareBootstrap(config);
    for (const id of ids) await ensemble.stub(id).activateBootstrap();
    await ensemble.leader();
    return ensemble;
  }

  stub(id: ServerId): DurableObjectStub<Member> {
    return env.MEMBER.getByName(`${this.name}/${id}`);
  }

  async statuses(): Promise<MemberStatus[]> {
    const asked = this.ids.map((id) => this.stub(id).inspect());
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  /** The established leader, as soon as there is one. */
  async leader(): Promise<DurableObjectStub<Member>> {
    return this.stub(await this.leaderId());
  }

  async leaderId(): Promise<ServerId> {
    for (;;) {
      const serving = (await this.statuses()).filter(({ serving, role }) => serving && role === "leading");
      const newest = serving.sort((a, b) => b.epoch - a.epoch)[0];
      if (newest !== undefined) return newest.id;
      await pause(20);
    }
  }

  /** At the leader. */
  async connect(): Promise<TestClient> {
    return this.#connect(() => this.leader(), "leader");
  }

  /** At that member, as soon as it serves. */
  connectAt(id: ServerId): Promise<TestClient> {
    return this.#connect(async () => this.stub(id), "any");
  }

  /** A WebSocket to the leader, as a gateway asks for it, and what its 101 says. */
  async upgrade(headers: Readonly<Record<string, string>>): Promise<{ socket: WebSocket; headers: Headers }> {
    for (;;) {
      const all = { Upgrade: "websocket", "Ek-Member": "leader", ...headers };
      const { webSocket, headers: told } = await (await this.leader()).fetch("http://member/connect", {
        headers: all,
      });
      if (webSocket !== null) return { socket: webSocket, headers: told };
      await pause(20);
    }
  }

  /** A voter that serves and does not lead. */
  async followerId(): Promise<ServerId> {
    for (;;) {
      const follower = (await this.statuses()).find(({ role, serving }) => serving && role === "following");
      if (follower !== undefined) return follower.id;
      await pause(20);
    }
  }

  async serves(id: ServerId): Promise<void> {
    while (!(await this.stub(id).inspect()).serving) await pause(20);
  }

  async #connect(
    find: () => Promise<DurableObjectStub<Member>>,
    member: "leader" | "any",
  ): Promise<TestClient> {
    for (;;) {
      const headers = { Upgrade: "websocket", "Ek-Member": member };
      const response = await (await find()).fetch("http://member/connect", { headers });
      if (response.webSocket !== null) return new TestClient(response.webSocket);
      await pause(20);
    }
  }
}

/** Real time: inside workerd the members' ticks are real, too. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
