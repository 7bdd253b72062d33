/**
 * The deployed Worker, with members whose test can take them apart: links between them cut, and members kept
 * down. `POST /testing` says all that is wrong from now on; everything else is the Worker's own.
 *
 * Members of one runtime share this module, so what is wrong is known to all of them at once. A member that is
 * down refuses to begin; who was up is aborted, with everything that its memory held.
 *
 * @module
 */

import { type MemberEnv, Member as OurMember } from "../objects/index.ts";
import ours from "../worker/index.ts";
import { type Faults, isDown, isLinked } from "./faults.ts";

let faults: Faults = { down: [], groups: [] };

/** `main/2` is server 2. */
function serverOf(name: string): number {
  return Number(name.slice(name.lastIndexOf("/") + 1));
}

export class Member extends OurMember {
  constructor(ctx: DurableObjectState, env: MemberEnv) {
    const self = serverOf(ctx.id.name ?? "");
    super(ctx, { ...env, MEMBER: guarded(env.MEMBER, self) });
    if (isDown(faults, self)) throw new Error(`member ${self} is down`);
  }

  /** Ends it at once: what was not durable is lost. It begins again with the next call, unless it is down. */
  die(): void {
    this.ctx.abort("killed by the test");
  }
}

type Namespace = MemberEnv["MEMBER"];

/** The other members as `self` reaches them now. */
function guarded(namespace: Namespace, self: number): Namespace {
  return new Proxy(namespace, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      if (property !== "getByName") return value.bind(target);
      return (name: string, ...rest: readonly unknown[]) => {
        if (!isLinked(faults, self, serverOf(name))) return unreachable(name);
        return value.call(target, name, ...rest);
      };
    },
  });
}

/** A stub whose calls all fail, as those to a machine that is not there. */
function unreachable(name: string): unknown {
  return new Proxy(
    {},
    { get: () => () => Promise.reject(new Error(`no way to ${name}: cut off by the test`)) },
  );
}

interface Env {
  readonly MEMBER: DurableObjectNamespace<Member>;
}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    if (new URL(request.url).pathname !== "/testing") return ours.fetch(request, env, context);
    // Written by `local-ensemble.ts`, which is the only one to know of this address.
    faults = (await request.json()) as Faults;
    await Promise.all(
      // The call breaks with its callee.
      faults.down.map((id) =>
        env.MEMBER.getByName(`main/${id}`)
          .die()
          .catch(() => undefined),
      ),
    );
    return new Response(null, { status: 204 });
  },
};
