/**
 * Requests that come while a member that has led before is about to lead again: a few round trips, most often
 * after a sleep. Nothing has happened yet, and nobody else could serve them sooner, so they wait a little.
 *
 * @module
 */

/** How long a request waits, in peer ticks. */
export const arrivalTicksMax = 20;

/** Requests that wait at once; more are sent away. */
export const arrivalsMax = 10_000;

interface Arrival {
  /** In ticks. */
  readonly until: number;
  readonly resolve: () => void;
}

export class Arrivals {
  #waiting: Arrival[] = [];

  /** Resolves when it is decided, or has taken too long; `undefined` when there are too many already. */
  wait(ticks: number): Promise<void> | undefined {
    if (this.#waiting.length >= arrivalsMax) return undefined;
    return new Promise((resolve) => this.#waiting.push({ until: ticks + arrivalTicksMax, resolve }));
  }

  /** End of a turn. */
  settle(isUndecided: boolean, ticks: number): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const arrival of waiting) {
      if (isUndecided && arrival.until > ticks) this.#waiting.push(arrival);
      else arrival.resolve();
    }
  }
}
