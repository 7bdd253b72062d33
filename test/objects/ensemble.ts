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

  private constructor(name: string, voters: readonly ServerId[]) {
    this.name = name;
    this.voters = voters;
  }

  /** Bootstrapped, with an established leader. */
  static async start(size: number): Promise<TestEnsemble> {
    lastEnsemble += 1;
    const voters = Array.from({ length: size }, (_, i) => makeServerId(i + 1));
    const ensemble = new TestEnsemble(`test-${lastEnsemble}-${Date.now()}`, voters);
    const config = { voters, observers: [], secret: "5".repeat(64) };
    for (const id of voters) await ensemble.stub(id).prepareBootstrap(config);
    for (const id of voters) await ensemble.stub(id).activateBootstrap();
    await ensemble.leader();
    return ensemble;
  }

  stub(id: ServerId): DurableObjectStub<Member> {
    return env.MEMBER.getByName(`${this.name}/${id}`);
  }

  async statuses(): Promise<MemberStatus[]> {
    const asked = this.voters.map((id) => this.stub(id).inspect());
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  /** The established leader, as soon as there is one. */
  async leader(): Promise<DurableObjectStub<Member>> {
    return this.stub(await this.leaderId());
  }

  async leaderId(): Promise<ServerId> {
    for (;;) {
      const serving = (await this.statuses()).filter((status) => status.serving);
      const newest = serving.sort((a, b) => b.epoch - a.epoch)[0];
      if (newest !== undefined) return newest.id;
      await pause(20);
    }
  }

  async connect(): Promise<TestClient> {
    for (;;) {
      const leader = await this.leader();
      const response = await leader.fetch("http://member/connect", { headers: { Upgrade: "websocket" } });
      if (response.webSocket !== null) return new TestClient(response.webSocket);
      await pause(20);
    }
  }
}

/** Real time: inside workerd the members' ticks are real, too. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
