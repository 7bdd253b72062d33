/**
 * Plays one script to both servers, step by step, and compares what they say.
 *
 * @module
 */

import { OpCode } from "../../src/base/index.ts";
import { level } from "./admin.ts";
import { type Explanation, explain, extraTxns } from "./explained.ts";
import { render, type Step } from "./script.ts";
import type { Side } from "./servers.ts";

export interface Difference {
  readonly script: readonly Step[];
  /** Where they differed. */
  readonly step: Step;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

export interface Played {
  readonly difference: Difference | undefined;
  /** Steps that both have taken. */
  readonly steps: readonly Step[];
  /** What both said; where an explanation held, what ZooKeeper said. */
  readonly said: readonly string[];
  readonly explained: readonly Explanation[];
}

export class Checker {
  readonly #sides: readonly [Side, Side];
  /** The last script has left the two unequal, perhaps. */
  #isUneven = true;

  constructor(sides: readonly [Side, Side]) {
    this.#sides = sides;
  }

  async play(script: readonly Step[]): Promise<Played> {
    await this.#begin();
    const players = this.#sides.map((side) => side.player());
    const steps: Step[] = [];
    const said: string[] = [];
    const explained: Explanation[] = [];
    const ends = new Set<string>();
    let difference: Difference | undefined;
    for (const step of script) {
      const heard = await Promise.all(players.map((player) => player.play(step)));
      for (const lines of heard) noteEnds(step, lines, ends);
      const [ours = [], theirs = []] = heard.map((lines) => withoutOrder(lines, ends));
      const explanation = isEqual(ours, theirs) ? undefined : explain(step, ours, theirs);
      if (explanation === undefined && !isEqual(ours, theirs)) {
        difference = { script, step, ours, theirs };
        this.#isUneven = true;
        break;
      }
      steps.push(step);
      said.push(...theirs);
      const extra = takesTxns(step) ? await this.#skipExtraTxn(step) : undefined;
      explained.push(...[explanation, extra].filter((known) => known !== undefined));
      if (explanation?.endsScript === true) {
        this.#isUneven = true;
        break;
      }
    }
    await Promise.all(players.map((player) => player.finish()));
    return { difference, steps, said, explained };
  }

  /** Some txns only one of the two makes. They are not counted, so that the others can be compared. */
  async #skipExtraTxn(step: Step): Promise<Explanation | undefined> {
    const newest = await Promise.all(this.#sides.map(({ admin }) => admin.newestZxid()));
    const counts = this.#sides.map(({ names }, index) => names.count(newest[index] ?? 0n));
    const extra = extraTxns.find(({ kind, side }) => {
      const [mine = 0n, other = 0n] = side === 0 ? counts : counts.toReversed();
      return kind === step.kind && mine === other + 1n;
    });
    if (extra !== undefined) this.#sides[extra.side].names.skip(newest[extra.side] ?? 0n);
    return extra;
  }

  /** Both empty, both level, and zxids counted from here. */
  async #begin(): Promise<void> {
    await Promise.all(this.#sides.map(({ admin }) => admin.reset()));
    if (this.#isUneven) await level(this.#sides.map(({ admin }) => admin));
    this.#isUneven = false;
    for (const { admin, names } of this.#sides) names.begin(await admin.newestZxid());
  }
}

/** Keeps the zxid, as said, of a txn that ended a session. */
function noteEnds(step: Step, lines: readonly string[], ends: Set<string>): void {
  const isGoodbye =
    step.kind === "requests" && step.requests.some(({ type }) => type === OpCode.CloseSession);
  if (!isGoodbye && step.kind !== "expire") return;
  for (const line of lines) {
    const zxid = /^(?:xid=\S+|expired) (zxid=\S+)/.exec(line)?.[1];
    if (zxid !== undefined) ends.add(zxid);
  }
}

/** A session's ephemerals go in no particular order: what is told of them is sorted. */
function withoutOrder(lines: readonly string[], ends: ReadonlySet<string>): string[] {
  const sorted: string[] = [];
  for (let from = 0; from < lines.length; ) {
    const zxid = /^event (zxid=\S+)/.exec(lines[from] ?? "")?.[1];
    let to = from + 1;
    if (zxid !== undefined && ends.has(zxid)) {
      while (lines[to]?.startsWith(`event ${zxid} `) === true) to += 1;
    }
    sorted.push(...lines.slice(from, to).sort());
    from = to;
  }
  return sorted;
}

function takesTxns(step: Step): boolean {
  return extraTxns.some(({ kind }) => kind === step.kind);
}

function isEqual(ours: readonly string[], theirs: readonly string[]): boolean {
  return ours.length === theirs.length && ours.every((line, index) => line === theirs[index]);
}

/** What kind of difference it is: equal for the same mistake in another script. */
export function signatureOf({ step, ours, theirs }: Difference): string {
  const at = ours.findIndex((line, index) => line !== theirs[index]);
  const index = at === -1 ? ours.length : at;
  const plain = (line: string | undefined) => (line ?? "nothing").replaceAll(/"[^"]*"|\+?\d+/g, "#");
  return `${step.kind}: ${plain(ours[index])} / ${plain(theirs[index])}`;
}

/** For people: the script, and what came at its end. */
export function describeDifference({ script, step, ours, theirs }: Difference): string {
  const before = script.slice(0, script.indexOf(step));
  return [...before.map(describeStep), describeEnd({ step, ours, theirs })].join("\n");
}

function describeStep({ kind, client, ...rest }: Step): string {
  return `  client ${client}: ${kind} ${render(rest)}`;
}

/** The step at which they differed, and what came of it. */
export function describeEnd({ step, ours, theirs }: Omit<Difference, "script">): string {
  return [
    describeStep(step),
    "  edgekeeper said:",
    ...ours.map((line) => `    ${line}`),
    "  ZooKeeper said:",
    ...theirs.map((line) => `    ${line}`),
  ].join("\n");
}
