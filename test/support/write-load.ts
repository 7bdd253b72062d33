/**
 * Writers that keep books: what they tried, what was acknowledged. Afterwards the books are compared with
 * the tree.
 *
 * Two kinds of work show loss and duplication alike. A *counter* is only ever set from version k to k + 1,
 * with k + 1 as its data: data and version always agree, and a version beyond what was tried is a write done
 * twice. A *sequence* gets children that each carry a number of their own: one that was acknowledged is
 * there, and no number is there twice.
 *
 * No writer retries. The first failure ends its round: whether that write happened is not known.
 *
 * @module
 */

import { expect } from "vitest";
import { CreateMode, type NpmClient } from "./npm-client.ts";

interface Counter {
  readonly path: string;
  tried: number;
  acknowledged: number;
}

interface Sequence {
  readonly path: string;
  readonly tried: Set<string>;
  /** The child's name, by the number it carries. */
  readonly acknowledged: Map<string, string>;
}

type Znodes = (path: string, init?: RequestInit) => Promise<Response>;

export class WriteLoad {
  readonly #znodes: Znodes;
  readonly #counters: Counter[] = [];
  readonly #sequences: Sequence[] = [];
  #nextNumber = 1;
  #isStopped = false;
  /** Whether some writer of this round has been cut off already. */
  isCutOff = false;
  /** Writes acknowledged so far. */
  acknowledgedCount = 0;

  /** @param url - Of the ensemble's HTTP door. */
  constructor(url: string) {
    this.#znodes = (path, init) => fetch(`${url}/v1/main/znodes${path}`, init);
  }

  async prepare(): Promise<void> {
    for (const path of ["/counter-http-1", "/counter-http-2", "/counter-zk"]) {
      expect((await this.#znodes(path, { method: "PUT", body: "0" })).status).toBe(201);
      this.#counters.push({ path, tried: 0, acknowledged: 0 });
    }
    for (const path of ["/sequence-http", "/sequence-zk"]) {
      expect((await this.#znodes(path, { method: "PUT", body: "" })).status).toBe(201);
      this.#sequences.push({ path, tried: new Set(), acknowledged: new Map() });
    }
  }

  /** Writes until stopped or cut off. `zk` pipelines; HTTP has one request under way per writer. */
  async run(zk: NpmClient): Promise<void> {
    this.#isStopped = false;
    this.isCutOff = false;
    const [first, second, third] = this.#counters;
    const [httpSequence, zkSequence] = this.#sequences;
    if (!first || !second || !third || !httpSequence || !zkSequence) throw new Error("prepare() comes first");
    const append = (id: string) => this.#postChild(httpSequence.path, id);
    await Promise.all([
      this.#countUp(first, 1, (next) => this.#putCounter(first.path, next)),
      this.#countUp(second, 1, (next) => this.#putCounter(second.path, next)),
      this.#countUp(third, 8, (next) => zk.set(third.path, String(next), next - 1)),
      this.#append(httpSequence, append),
      this.#append(httpSequence, append),
      ...Array.from({ length: 16 }, () =>
        this.#append(zkSequence, (id) =>
          zk.create(`${zkSequence.path}/n-`, id, CreateMode.PERSISTENT_SEQUENTIAL),
        ),
      ),
    ]);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Compares the books with the tree, and carries on from what the tree says. */
  async audit(): Promise<void> {
    for (const counter of this.#counters) {
      const response = await this.#znodes(counter.path);
      const data = Number(await response.text());
      const version = Number(response.headers.get("ETag")?.replaceAll('"', ""));
      expect(data, `${counter.path}: data and version`).toBe(version);
      expect(version, `${counter.path}: nothing lost`).toBeGreaterThanOrEqual(counter.acknowledged);
      expect(version, `${counter.path}: nothing invented`).toBeLessThanOrEqual(counter.tried);
      counter.tried = version;
      counter.acknowledged = version;
    }
    for (const sequence of this.#sequences) await this.#auditSequence(sequence);
  }

  async #auditSequence(sequence: Sequence): Promise<void> {
    const nameOf = new Map<string, string>();
    const names = await this.#children(sequence.path);
    const ids = await inParallel(names, async (name) =>
      (await this.#znodes(`${sequence.path}/${name}`)).text(),
    );
    for (const [index, name] of names.entries()) {
      const id = ids[index] ?? "";
      expect(nameOf.get(id), `${sequence.path}: number ${id} is there twice`).toBeUndefined();
      expect(sequence.tried.has(id), `${sequence.path}: number ${id} was tried`).toBe(true);
      nameOf.set(id, name);
    }
    for (const [id, name] of sequence.acknowledged) {
      expect(nameOf.get(id), `${sequence.path}: number ${id}, acknowledged as ${name}`).toBe(name);
    }
  }

  async #children(path: string): Promise<readonly string[]> {
    const names: string[] = [];
    for (;;) {
      const after = names.length === 0 ? "" : `&after=${names.at(-1)}`;
      const response = await this.#znodes(`${path}?children${after}`);
      const page: { children: string[]; more: boolean } = JSON.parse(await response.text());
      names.push(...page.children);
      if (!page.more) return names;
    }
  }

  /** Keeps `width` sets under way; a session's requests take effect in order, so each finds its version. */
  async #countUp(counter: Counter, width: number, set: (next: number) => Promise<unknown>): Promise<void> {
    const step = async () => {
      while (!this.#isStopped) {
        counter.tried += 1;
        await set(counter.tried);
        counter.acknowledged += 1;
        this.acknowledgedCount += 1;
      }
    };
    await Promise.all(Array.from({ length: width }, () => this.#untilCutOff(step())));
  }

  async #append(sequence: Sequence, create: (id: string) => Promise<string>): Promise<void> {
    const step = async () => {
      while (!this.#isStopped) {
        const id = String(this.#nextNumber++);
        sequence.tried.add(id);
        const path = await create(id);
        sequence.acknowledged.set(id, path.slice(sequence.path.length + 1));
        this.acknowledgedCount += 1;
      }
    };
    await this.#untilCutOff(step());
  }

  async #untilCutOff(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      // What the client still sends when it is back finds another version than it thought.
      if (!isCutOff(error) && !(this.isCutOff && hasName(error, "BAD_VERSION"))) throw error;
      this.isCutOff = true;
    }
  }

  async #putCounter(path: string, next: number): Promise<void> {
    const response = await this.#znodes(path, {
      method: "PUT",
      body: String(next),
      headers: { "If-Match": `"${next - 1}"` },
    });
    await answered(response, 200);
  }

  async #postChild(path: string, id: string): Promise<string> {
    const response = await this.#znodes(`${path}/n-`, { method: "POST", body: id });
    const created: { path: string } = JSON.parse(await answered(response, 201));
    return created.path;
  }
}

/** A write whose outcome is not known. */
class CutOff extends Error {}

/** A status that says neither done nor cut off is a fault of ours, and fails the test. */
async function answered(response: Response, status: number): Promise<string> {
  const body = await response.text();
  if (response.status === status) return body;
  if (response.status >= 500) throw new CutOff(`${response.status} ${body}`);
  throw new Error(`status ${response.status} instead of ${status}: ${body}`);
}

/** Sixteen at a time, answers in order. */
async function inParallel<Item, Answer>(
  items: readonly Item[],
  ask: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const work = items.entries();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const [index, item] of work) answers[index] = await ask(item);
    }),
  );
  return answers;
}

/** A broken connection in any of its shapes: fetch's TypeError, the client's CONNECTION_LOSS. */
function isCutOff(error: unknown): boolean {
  if (error instanceof CutOff || error instanceof TypeError) return true;
  return hasName(error, "CONNECTION_LOSS");
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
