/**
 * Events as an AsyncIterable: bounded, and honest about what it could not keep.
 *
 * @module
 */

/** Ends without an error when its signal aborts, when its source ends, or when the loop is left. */
export class EventStream<Event> implements AsyncIterable<Event>, AsyncIterator<Event, undefined> {
  readonly #bufferMax: number;
  readonly #missed: Event;
  readonly #onEnd: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = () => this.end();
  #buffer: Event[] = [];
  #waiting: { resolve(result: IteratorResult<Event, undefined>): void; reject(error: unknown): void }[] = [];
  #isOver = false;
  /** Told once, behind everything kept. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param bufferMax - Events kept for a slow consumer. When one more comes, `missed` takes the place of all.
   * @param onEnd - Called once.
   */
  constructor(options: {
    readonly bufferMax: number;
    readonly missed: Event;
    readonly signal: AbortSignal | undefined;
    readonly onEnd: () => void;
  }) {
    this.#bufferMax = options.bufferMax;
    this.#missed = options.missed;
    this.#onEnd = options.onEnd;
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#stop, { once: true });
    if (this.#signal?.aborted === true) this.end();
  }

  push(event: Event): void {
    if (this.#isOver) return;
    const next = this.#waiting.shift();
    if (next !== undefined) return next.resolve({ done: false, value: event });
    if (this.#buffer.length >= this.#bufferMax) this.#buffer = [this.#missed];
    else this.#buffer.push(event);
  }

  /** What is kept is still given out; then it is over. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this.#stop);
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
    this.#onEnd();
  }

  /** What is kept is still given out; then the loop throws `error`. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#failure = { error };
    else next.reject(error);
    this.end();
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    const event = this.#buffer.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) return Promise.reject(failure.error);
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Event, undefined>> {
    this.#buffer = [];
    this.#failure = undefined;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
