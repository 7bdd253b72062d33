/**
 * One operation of a client: from its call to its one answer, error, timeout or abort.
 *
 * @module
 */

import { type ClientRequest, isWriteType, ZkErrorCode } from "../base/index.ts";
import type { Answer } from "./connection.ts";
import { ZkError } from "./errors.ts";

export interface OperationParts {
  readonly request: ClientRequest;
  /** As the caller named it, for errors. */
  readonly path: string | undefined;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  /** As `signal`, but only until it is sent. */
  readonly recall?: AbortSignal | undefined;
  /** Called with the answer before anything behind it is read; `resolve` is heard of only later. */
  readonly answered?: ((answer: Answer) => void) | undefined;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export class Operation {
  /** It left on a connection that still lives. */
  isSent = false;
  readonly #parts: OperationParts;
  readonly #abort = () => this.fail(this.#parts.signal?.reason);
  readonly #recall = () => {
    if (!this.isSent) this.fail(this.#parts.recall?.reason);
  };
  #isSettled = false;

  constructor(parts: OperationParts) {
    this.#parts = parts;
    parts.signal?.addEventListener("abort", this.#abort);
    parts.recall?.addEventListener("abort", this.#recall);
  }

  get request(): ClientRequest {
    return this.#parts.request;
  }

  get path(): string | undefined {
    return this.#parts.path;
  }

  get deadlineMs(): number {
    return this.#parts.deadlineMs;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Asked twice, it answers the same or newer, and changes nothing. */
  get isRepeatable(): boolean {
    return !isWriteType(this.#parts.request.type);
  }

  answer(answer: Answer): void {
    if (!this.#settle()) return;
    this.#parts.answered?.(answer);
    this.#parts.resolve(answer);
  }

  fail(error: unknown): void {
    if (this.#settle()) this.#parts.reject(error);
  }

  /** Its connection ended after it was sent. */
  failLost(): void {
    const message = this.isRepeatable
      ? "The connection was lost"
      : "The connection was lost before the answer came: the write may or may not have been applied";
    const outcome = this.isRepeatable ? "notApplied" : "unknown";
    this.fail(new ZkError({ code: ZkErrorCode.ConnectionLoss, message, path: this.path, outcome }));
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.#parts.signal?.removeEventListener("abort", this.#abort);
    this.#parts.recall?.removeEventListener("abort", this.#recall);
    return true;
  }
}
