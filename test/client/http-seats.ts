/**
 * Taking a seat of a semaphore, or leading in an election, over HTTP, by who does not give up while leaders are lost.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

/** Nothing has happened, or it may be asked again under the same id: not granted yet, nobody leads, nobody knows. */
const passing: ReadonlySet<number> = new Set([409, 429, 503, 504]);
const pauseMs = 20;

interface Told {
  readonly status: number;
  readonly body: { readonly token?: string };
  /** An attempt before may have done what was asked. */
  readonly isRepeated: boolean;
}

async function insist(url: string, method: string, body?: object): Promise<Told> {
  for (let attempt = 0; ; attempt++) {
    const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await fetch(url, init).catch(() => undefined);
    const text = await response?.text().catch(() => undefined);
    if (response === undefined || text === undefined || passing.has(response.status)) {
      await delay(pauseMs);
      continue;
    }
    return { status: response.status, body: text === "" ? {} : JSON.parse(text), isRepeated: attempt > 0 };
  }
}

/** A grant over HTTP, of a semaphore's seat or an election's lead. */
export class HttpGrant {
  readonly token: bigint;
  readonly #url: string;

  private constructor(url: string, token: string) {
    this.#url = url;
    this.token = BigInt(token);
  }

  /** @param url - Of the semaphore or the election. */
  static async take(url: string, order: object): Promise<HttpGrant> {
    const id = randomBytes(16).toString("hex");
    const { status, body } = await insist(url, "POST", { ...order, id, ttl: "2m", wait: "2s" });
    if (status !== 201 || body.token === undefined) throw new Error(`not granted: ${status}`);
    return new HttpGrant(`${url}?id=${id}`, body.token);
  }

  /** A round trip under the grant. */
  async keep(): Promise<void> {
    const { status, body } = await insist(this.#url, "PUT");
    if (status !== 200) throw new Error(`not held any more: ${status}`);
    if (body.token === undefined || BigInt(body.token) !== this.token)
      throw new Error("held under another token");
  }

  async release(): Promise<void> {
    const { status, isRepeated } = await insist(this.#url, "DELETE");
    if (status !== 204 && !(status === 404 && isRepeated)) throw new Error(`not released: ${status}`);
  }
}
