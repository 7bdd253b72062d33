/**
 * Our Worker, with members that can be told to die: `POST /die/{server id}` aborts one at once, as the
 * platform does when it moves or updates an object. What was not durable is lost, its memory too, and every
 * call and WebSocket to it breaks.
 *
 * @module
 */

import { Member as OurMember } from "../../src/objects/index.ts";
import ours from "../../src/worker/index.ts";

export class Member extends OurMember {
  die(): void {
    this.ctx.abort("told to die");
  }
}

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const [, id] = /^\/die\/(\d+)$/.exec(new URL(request.url).pathname) ?? [];
    if (id === undefined) return ours.fetch(request, env, context);
    // The call breaks with its callee.
    await env.MEMBER.getByName(`main/${id}`)
      .die()
      .catch(() => undefined);
    return new Response();
  },
};
