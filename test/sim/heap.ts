/**
 * The queue of things to come: by time, then by tie-break, then first come, first served.
 *
 * @module
 */

export interface Timed {
  readonly at: number;
  readonly tie: number;
  readonly order: number;
}

function isBefore(a: Timed, b: Timed): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.order < b.order;
}

export class Heap<Item extends Timed> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    const items = this.#items;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >>> 1;
      const parent = items[above];
      if (parent === undefined || !isBefore(item, parent)) break;
      items[place] = parent;
      place = above;
    }
    items[place] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || first === last) return first;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let child = items[below];
      if (child === undefined) break;
      const sibling = items[below + 1];
      if (sibling !== undefined && isBefore(sibling, child)) {
        child = sibling;
        below++;
      }
      if (!isBefore(child, last)) break;
      items[place] = child;
      place = below;
    }
    items[place] = last;
    return first;
  }
}
