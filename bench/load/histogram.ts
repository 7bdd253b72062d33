/**
 * Latencies as counts in buckets whose width grows with the value: constant memory, no sorting, and every
 * percentile right to within one part in 64.
 *
 * Buckets: up to 128 µs one per microsecond, then 64 to each doubling (as HdrHistogram does it).
 *
 * @module
 */

const linearMax = 128;
const perDoubling = 64;
/** 2^31 µs: over half an hour. What is longer counts as that. */
const microsMax = 2 ** 31 - 1;

export interface Percentiles {
  /** All in milliseconds. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class Histogram {
  readonly #counts = new Uint32Array(bucketOf(microsMax) + 1);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  record(ms: number): void {
    const micros = Math.min(Math.max(Math.round(ms * 1000), 0), microsMax);
    const bucket = bucketOf(micros);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** The smallest value, to the bucket, that `share` of all values do not exceed; in ms. 0 when empty. */
  percentile(share: number): number {
    const rank = Math.ceil(share * this.#count);
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank && seen > 0) return Math.min(topOf(bucket) / 1000, this.#maxMs);
    }
    return 0;
  }

  percentiles(): Percentiles {
    return {
      p50: this.percentile(0.5),
      p90: this.percentile(0.9),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      max: this.#maxMs,
    };
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxMs = 0;
  }
}

function bucketOf(micros: number): number {
  if (micros < linearMax) return micros;
  // 128 to 255 is doubling 1: 64 buckets of 2 µs.
  const doubling = 31 - Math.clz32(micros) - 6;
  return linearMax + (doubling - 1) * perDoubling + ((micros >>> doubling) - perDoubling);
}

/** The largest value of a bucket. */
function topOf(bucket: number): number {
  if (bucket < linearMax) return bucket;
  const doubling = Math.floor((bucket - linearMax) / perDoubling) + 1;
  const within = (bucket - linearMax) % perDoubling;
  return (perDoubling + within + 1) * 2 ** doubling - 1;
}
