/**
 * Which branches of `src/zab` a run has been through, by the counters of the engine.
 *
 * A branch is a block with a counter of its own. The engine reports blocks whose counts differ from what is
 * around them, so the total is of those; what was never reached is exact, and that is the list that matters.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { Session } from "node:inspector";
import { fileURLToPath } from "node:url";

export interface Unreached {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface Coverage {
  readonly functions: number;
  readonly blocks: number;
  readonly unreached: readonly Unreached[];
}

interface Block {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly functionName: string; readonly ranges: readonly Block[] }[];
}

/** Begins to count. Call it before the code is loaded. */
export function beginCoverage(): { end(): Coverage } {
  const session = new Session();
  session.connect();
  const post = (method: string, params: object = {}): unknown => {
    let result: unknown;
    session.post(method, params, (error, given) => {
      if (error !== null) throw error;
      result = given;
    });
    return result;
  };
  post("Profiler.enable");
  post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  return {
    end() {
      const taken = post("Profiler.takePreciseCoverage") as { readonly result: readonly Script[] };
      session.disconnect();
      return summarize(taken.result);
    },
  };
}

function summarize(scripts: readonly Script[]): Coverage {
  let functions = 0;
  let blocks = 0;
  const unreached: Unreached[] = [];
  for (const { url, functions: own } of scripts) {
    const at = url.indexOf("/src/zab/");
    if (!url.startsWith("file:") || at < 0) continue;
    const source = readFileSync(fileURLToPath(url), "utf8");
    functions += own.length;
    blocks += own.reduce((sum, { ranges }) => sum + ranges.length, 0);
    const zero = own.flatMap(({ ranges }) => ranges).filter(({ count }) => count === 0);
    for (const block of zero) {
      const isWithin = zero.some((other) => other !== block && contains(other, block));
      if (isWithin) continue;
      const line = source.slice(0, block.startOffset).split("\n").length;
      const text = source.slice(block.startOffset, block.endOffset).replaceAll(/\s+/g, " ").trim();
      if (/^[})\];\s]*$/.test(text)) continue;
      unreached.push({ file: url.slice(at + 1), line, text: text.slice(0, 100) });
    }
  }
  return {
    functions,
    blocks,
    unreached: unreached.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line)),
  };
}

function contains(outer: Block, inner: Block): boolean {
  return outer.startOffset <= inner.startOffset && outer.endOffset >= inner.endOffset;
}
