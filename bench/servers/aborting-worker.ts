/**
 * Our Worker, with one more door that aborts a member: memory gone at once, storage kept, nobody told. That
 * is how the platform ends an object whose machine is lost.
 *
 * @module
 */

import worker, { Member as OrdinaryMember } from "../../src/worker/index.ts";

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export class Member extends OrdinaryMember {
  abort(): void {
    this.ctx.abort("killed by the benchmark");
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const id = /^\/bench\/abort\/(\d+)$/.exec(new URL(request.url).pathname)?.[1];
    if (id === undefined) return worker.fetch(request, { ...env });
    // The call ends with the object it was made to.
    await env.MEMBER.getByName(`main/${id}`)
      .abort()
      .catch(() => undefined);
    return new Response(null, { status: 204 });
  },
};
