/**
 * Our Worker, with two more doors. One aborts a member: memory gone at once, storage kept, nobody told; that
 * is how the platform ends an object whose machine is lost. The other has it take no event for a while.
 *
 * @module
 */

import worker, { Member as OrdinaryMember } from "../../src/worker/index.ts";

/** Below the 30 s after which the platform would reset the object. */
const hangMs = 5_000;

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export class Member extends OrdinaryMember {
  abort(): void {
    this.ctx.abort("killed by the benchmark");
  }

  hang(): void {
    void this.ctx.blockConcurrencyWhile(() => new Promise((resolve) => setTimeout(resolve, hangMs)));
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, how, id] = /^\/bench\/(abort|hang)\/(\d+)$/.exec(new URL(request.url).pathname) ?? [];
    if (how === undefined) return worker.fetch(request, { ...env });
    const member = env.MEMBER.getByName(`main/${id}`);
    // Not awaited: a call ends with the object it was made to, or when that goes on.
    await Promise.race([how === "abort" ? member.abort() : member.hang(), soon()]).catch(() => undefined);
    return new Response(null, { status: 204 });
  },
};

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
