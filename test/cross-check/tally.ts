/**
 * What a run has covered: requests by operation, answers by error, events by type.
 *
 * @module
 */

import { OpCode, ZkErrorCode } from "../../src/base/index.ts";
import type { Played } from "./check.ts";
import type { Step } from "./script.ts";

const operationNames = namesOf(OpCode);
const errorNames = namesOf(ZkErrorCode);
const eventNames = new Map([
  [1, "NodeCreated"],
  [2, "NodeDeleted"],
  [3, "NodeDataChanged"],
  [4, "NodeChildrenChanged"],
]);

export type Counts = Record<string, number>;

export class Tally {
  requests = 0;
  scripts = 0;
  readonly operations: Counts = {};
  readonly answers: Counts = {};
  readonly events: Counts = {};
  readonly explained: Counts = {};

  add({ steps, said, explained }: Played): void {
    this.scripts += 1;
    for (const step of steps) this.#addStep(step);
    for (const line of said) this.#addLine(line);
    for (const { title } of explained) count(this.explained, title);
  }

  #addStep(step: Step): void {
    if (step.kind === "requests") {
      this.requests += step.requests.length;
      for (const { type } of step.requests) count(this.operations, operationNames.get(type) ?? String(type));
    } else {
      this.requests += 1;
      count(this.operations, `(${step.kind})`);
    }
  }

  #addLine(line: string): void {
    const event = /^event .* type=(-?\d+)/.exec(line);
    const answer = /^xid=\S+ zxid=\S+ err=(-?\d+)/.exec(line);
    if (event !== null) count(this.events, eventNames.get(Number(event[1])) ?? `type ${event[1]}`);
    else if (answer !== null) count(this.answers, errorNames.get(Number(answer[1])) ?? `code ${answer[1]}`);
    else count(this.answers, `(${line.split(" ")[0]})`);
  }
}

function count(counts: Counts, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function namesOf(codes: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(codes).map(([name, code]) => [code, name]));
}
