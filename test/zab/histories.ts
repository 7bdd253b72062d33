/**
 * Histories in short, for the case tables, and random ones with the lists they stand for.
 *
 * `1.3 | 1x5 2x7`: compacted through counter 3 of epoch 1, then epoch 1 up to 5 and epoch 2 up to 7.
 *
 * @module
 */

import type { Zxid } from "../../src/base/index.ts";
import type { Outline } from "../../src/zab/index.ts";
import type { Dice } from "./world.ts";

export function zxid(text: string): Zxid {
  const [epoch = 0, counter = 0] = text.split(".").map(Number);
  return { epoch, counter };
}

export function print({ epoch, counter }: Zxid): string {
  return `${epoch}.${counter}`;
}

export function outline(text: string): Outline {
  const [base = "", runs = ""] = text.split("|").map((part) => part.trim());
  const parts = runs.split(" ").filter((run) => run !== "");
  return {
    base: zxid(base),
    runs: parts.map((run) => {
      const [epoch = 0, last = 0] = run.split("x").map(Number);
      return { epoch, last };
    }),
  };
}

/** `prefix` and some epochs more; the prefix's last epoch may grow. */
export function listOf(dice: Dice, prefix: readonly Zxid[], epochs: number): Zxid[] {
  const list = [...prefix];
  let { epoch, counter } = list.at(-1) ?? { epoch: 1, counter: 0 };
  for (let e = 0; e < epochs; e++) {
    for (let n = dice.below(3); n > 0; n--) {
      counter += 1;
      list.push({ epoch, counter });
    }
    epoch += 1 + dice.below(2);
    counter = 0;
  }
  return list;
}

/** The outline of a list whose first `compacted` txns are compacted. */
export function outlineOf(list: readonly Zxid[], compacted: number): Outline {
  const runs: { epoch: number; last: number }[] = [];
  for (const { epoch, counter } of list.slice(compacted)) {
    const run = runs.at(-1);
    if (run?.epoch === epoch) run.last = counter;
    else runs.push({ epoch, last: counter });
  }
  return { base: at(list, compacted), runs };
}

/** The last of the first `length` txns. */
export function at(list: readonly Zxid[], length: number): Zxid {
  return list[length - 1] ?? zxid("0.0");
}
