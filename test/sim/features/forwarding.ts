/**
 * Forwarding: learners hand on what clients ask, and the leader says something of each.
 *
 * What is forwarded is a number. Checked from outside: within a learner session the leader hears every number
 * in the order they were handed on, each once and none left out before the end, and so does the learner with
 * the answers; nothing of one session is heard in another.
 *
 * @module
 */

import type { Forwarded, LearnerSession } from "../../../src/zab/index.ts";
import type { Feature, Planner } from "../feature.ts";
import type { Instance } from "../member.ts";
import { violate } from "../violation.ts";
import { WireVersion } from "../wire.ts";

const Act = { Forward: 1, Answer: 2 } as const;

/** What was handed on in one session, one way, and how much of it has come. */
interface Stream {
  readonly sent: number[];
  heard: number;
}

export const forwarding: Feature = {
  name: "forwarding",
  draw(choose) {
    if (choose(2) === 0) return undefined;
    return { askMs: [200, 30, 2_000][choose(3)] ?? 200, thinkMs: [1, 0, 100][choose(3)] ?? 1 };
  },
  attach(world, draws) {
    const askMs = draws["askMs"] ?? 0;
    const thinkMs = draws["thinkMs"] ?? 0;
    const asked = new Map<string, Stream>();
    const answered = new Map<string, Stream>();
    const waiting = new WeakMap<Instance, Forwarded[]>();
    let planner: Planner | undefined;
    let last = 0;

    function send(streams: Map<string, Stream>, key: string): Uint8Array {
      const stream = streams.get(key) ?? { sent: [], heard: 0 };
      streams.set(key, stream);
      stream.sent.push(++last);
      return Uint8Array.of(last >>> 24, last >>> 16, last >>> 8, last);
    }

    function hear(streams: Map<string, Stream>, key: string, bytes: Uint8Array): void {
      const stream = streams.get(key) ?? violate("F1", `${key}: heard, and nothing was sent`);
      const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
      const due = stream.sent[stream.heard++];
      if (number !== due) violate("F1", `${key}: ${number} is heard where ${due} was due`);
    }

    return {
      begin(given) {
        planner = given;
        given.after(given.around(askMs), 0);
      },
      due(event, given) {
        if (event > 0) given.act(Act.Answer, event);
        else if (!given.isCalm) {
          given.act(Act.Forward, given.victim(), given.choose(2));
          given.after(1 + given.around(askMs), 0);
        }
      },
      act([what, id = 0, lazy = 0]) {
        const instance = world.members[id - 1]?.live;
        if (instance === undefined) return false;
        if (what === Act.Answer) {
          const forwarded = waiting.get(instance)?.shift();
          if (forwarded === undefined) return false;
          const { from, session } = forwarded;
          const bytes = send(answered, keyOf(from, session));
          instance.answerForward(forwarded, bytes);
          return true;
        }
        const { role } = instance.peer;
        if (role.kind !== "learning" || role.stage !== "serving") return false;
        if (instance.version === WireVersion.Older) return false;
        world.count("forwarded");
        instance.forward(send(asked, keyOf(id, role.session)), lazy === 1);
        return true;
      },
      stepped(instance, _event, duties) {
        const { forwarded, answered: answer } = duties;
        if (forwarded !== undefined) {
          hear(asked, keyOf(forwarded.from, forwarded.session), forwarded.bytes);
          const queue = waiting.get(instance) ?? [];
          waiting.set(instance, queue);
          queue.push(forwarded);
          world.count("forwarded and heard");
          planner?.after(planner.around(thinkMs), instance.member.id);
        }
        if (answer === undefined) return;
        const { role } = instance.peer;
        if (role.kind !== "learning")
          violate("F1", `${instance.member.id} hears an answer, and follows nobody`);
        hear(answered, keyOf(instance.member.id, role.session), answer);
        world.count("forwarded and answered");
      },
    };
  },
};

function keyOf(id: number, { incarnation, attempt }: LearnerSession): string {
  return `session ${incarnation}.${attempt} of ${id}`;
}
