/**
 * Locks judged from outside: by the queue as it stood in the committed sequence, and by a resource that checks
 * tokens.
 *
 * K1: a grant names a contender that stood first (or among shared ones with no exclusive one before it) at a
 * moment between the question and the answer. K2: tokens are the zxids of their contenders; those of successive
 * exclusive holders grow, and no two holders have the same. K3: whoever came first holds first.
 *
 * @module
 */

import { compareZxid, formatZxid, joinPath, type Zxid } from "../../../src/base/index.ts";
import { violate } from "../violation.ts";
import type { Story } from "./story.ts";

export interface Grant {
  readonly path: string;
  /** The contender's name below `path`, or what it begins with. */
  readonly contender: string;
  readonly token: Zxid;
  readonly isShared: boolean;
  /** The lock was held at one of the moments between these, both included. */
  readonly from: Zxid;
  readonly through: Zxid;
}

/** A resource that refuses whoever comes with an older token than it has seen. */
export class Resource {
  #newest: Zxid | undefined;
  accepted = 0;
  refused = 0;

  /** Whether a delayed write of a former holder is kept out, and a holder's own let in. */
  use(token: Zxid): boolean {
    if (this.#newest !== undefined && compareZxid(token, this.#newest) < 0) {
      this.refused++;
      return false;
    }
    this.#newest = token;
    this.accepted++;
    return true;
  }
}

interface Contender {
  readonly name: string;
  readonly sequence: number;
  readonly isShared: boolean;
}

export function checkGrants(story: Story, grants: readonly Grant[]): void {
  const holders = new Map<
    string,
    { readonly name: string; readonly path: string; place: number; token: Zxid }
  >();
  for (const grant of grants) {
    const { path, contender, token } = grant;
    const what = `${path}/${contender} with ${formatZxid(token)}`;
    const held = placeHeld(story, grant);
    if (held === undefined) violate("K1", `${what} was granted and never held`);
    const znode = story.at(joinPath(path, held.name), zxidAt(story, held.place));
    if (znode === undefined || compareZxid(znode.czxid, token) !== 0) {
      violate("K2", `${what} is not the zxid that created ${held.name}`);
    }
    const key = formatZxid(token);
    const other = holders.get(`${path} ${key}`);
    if (other !== undefined && other.name !== held.name)
      violate("K2", `${what} is also the token of ${other.name}`);
    if (!grant.isShared) holders.set(`${path} ${key}`, { name: held.name, path, place: held.place, token });
  }
  const inOrder = [...holders.values()].sort((a, b) => a.place - b.place);
  for (const [at, holder] of inOrder.entries()) {
    for (const later of inOrder.slice(at + 1)) {
      if (later.path !== holder.path || compareZxid(later.token, holder.token) > 0) continue;
      violate("K3", `${later.name} held ${later.path} after ${holder.name}, and came before it`);
    }
  }
}

/** The first moment of the grant's window at which it was true. */
function placeHeld(
  story: Story,
  grant: Grant,
): { readonly name: string; readonly place: number } | undefined {
  const from = story.countThrough(grant.from);
  const through = story.countThrough(grant.through);
  for (let place = from; place <= through; place++) {
    const queue = queueAt(story, grant.path, place);
    const own = queue.find(({ name }) => name.startsWith(grant.contender));
    if (own === undefined) continue;
    const ahead = queue.filter(({ sequence }) => sequence < own.sequence);
    if (own.isShared !== grant.isShared) violate("K1", `${own.name} was granted as something else`);
    if (ahead.every(({ isShared }) => own.isShared && isShared)) return { name: own.name, place };
  }
  return undefined;
}

function queueAt(story: Story, path: string, place: number): readonly Contender[] {
  return story.children(path, place).flatMap((name) => {
    const at = name.search(/__r?lock__\d{10}$/);
    if (at < 0) return [];
    return [{ name, sequence: Number(name.slice(-10)), isShared: name.slice(at).startsWith("__rlock__") }];
  });
}

function zxidAt(story: Story, place: number): Zxid {
  return story.committed[place - 1]?.zxid ?? { epoch: 0, counter: 0 };
}
