/**
 * Names for what a server makes up, so that two servers' answers can be compared as text.
 *
 * - Sessions are numbered in the order in which the script opened them.
 * - Zxids are counted from the beginning of the script; the older ones are all alike.
 * - The length of the configuration's text is called by its name.
 * - Times must be those of their txn: everything that a txn stamped carries the same time.
 *
 * @module
 */

export class Names {
  /** The newest zxid seen. */
  newestZxid = 0n;
  /** Of `/zookeeper/config`, whose text is each server's own. */
  configLength = 0;
  #baseZxid = 0n;
  /** Of txns that the other server has no counterpart of. */
  #skipped: bigint[] = [];
  readonly #sessions = new Map<bigint, string>();
  readonly #times = new Map<bigint, bigint>();

  /** A new script begins, with this as the newest zxid. */
  begin(zxid: bigint): void {
    this.#baseZxid = zxid;
    this.newestZxid = zxid;
    this.#skipped = [];
    this.#sessions.clear();
  }

  /** The newest txn is one that the other server does not have: it is not counted. */
  skip(zxid: bigint): void {
    this.#skipped.push(zxid);
  }

  /** How many txns of the script have come, as both servers must count them. */
  count(zxid: bigint): bigint {
    return zxid - this.#baseZxid - BigInt(this.#skipped.filter((skipped) => skipped <= zxid).length);
  }

  /** A session that the script has opened. */
  addSession(id: bigint): void {
    if (!this.#sessions.has(id)) this.#sessions.set(id, `session ${this.#sessions.size + 1}`);
  }

  session(id: bigint): string {
    return id === 0n ? "none" : (this.#sessions.get(id) ?? "a session of nobody");
  }

  length(bytes: number): string {
    return bytes > 0 && bytes === this.configLength ? "config" : String(bytes);
  }

  zxid(zxid: bigint): string {
    if (zxid > this.newestZxid) this.newestZxid = zxid;
    if (zxid <= 0n) return String(zxid);
    return zxid <= this.#baseZxid ? "old" : `+${this.count(zxid)}`;
  }

  /** `ok`, or how the time differs from that of the txn that made it. What was there from the start has none. */
  time(zxid: bigint, ms: bigint): string {
    if (zxid <= 0n) return ms === 0n ? "0" : "set";
    const known = this.#times.get(zxid);
    if (known === undefined) this.#times.set(zxid, ms);
    return known === undefined || known === ms ? "ok" : `${ms - known} ms off its txn's`;
  }
}
