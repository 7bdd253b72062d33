/**
 * A member's SQLite storage, of which a power cut keeps what was confirmed and a prefix of the rest.
 *
 * Node's SQLite behind the traps of the platform's. The writes of a turn are one unit, and each unit begins
 * with a savepoint: a crash rolls back to the first one lost. The alarm is part of the storage.
 *
 * @module
 */

import { openStorage } from "../../objects/support/sqlite.ts";

interface Unit {
  readonly name: string;
  readonly alarmBefore: number | undefined;
}

export class Store {
  readonly #opened = openStorage();
  readonly #sql = this.#opened.storage.sql;
  /** Units since the storage was last confirmed as a whole, the confirmed ones first. */
  #units: Unit[] = [];
  #isOpen = false;
  /** Units ever written, the open one counted; ever confirmed or lost. */
  written = 0;
  settled = 0;
  alarmAt: number | undefined;
  /** Told of every statement that writes, before it does. */
  onWrite: (query: string, bindings: readonly unknown[]) => void = () => {};

  get pending(): number {
    return this.written - this.settled;
  }

  read(query: string, ...bindings: (string | number)[]): Record<string, SqlStorageValue>[] {
    return this.#sql.exec(query, ...bindings).toArray();
  }

  exec(query: string, bindings: readonly unknown[]): SqlStorageCursor<Record<string, SqlStorageValue>> {
    if (!/^\s*SELECT\b/i.test(query)) {
      this.#begin();
      this.onWrite(query, bindings);
    }
    return this.#sql.exec(query, ...bindings);
  }

  transactionSync<Result>(run: () => Result): Result {
    this.#begin();
    return this.#opened.storage.transactionSync(run);
  }

  setAlarm(at: number | undefined): void {
    this.#begin();
    this.alarmAt = at;
  }

  /** An alarm that runs is gone from the storage. */
  takeAlarm(): void {
    this.setAlarm(undefined);
    this.endTurn();
  }

  endTurn(): void {
    this.#isOpen = false;
  }

  /** The oldest units still pending are durable. */
  confirm(units: number): void {
    this.settled += Math.min(units, this.pending);
    if (this.pending === 0 && !this.#isOpen) this.#release();
  }

  /** Power off: what is not confirmed is lost. */
  crash(): void {
    this.endTurn();
    const lost = this.#units[this.#units.length - this.pending];
    if (lost !== undefined) {
      this.#opened.raw(`ROLLBACK TO ${lost.name}`);
      this.alarmAt = lost.alarmBefore;
    }
    this.settled = this.written;
    this.#release();
  }

  close(): void {
    this.#opened.close();
  }

  #begin(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.written += 1;
    const unit = { name: `unit${this.written}`, alarmBefore: this.alarmAt };
    this.#units.push(unit);
    this.#opened.raw(`SAVEPOINT ${unit.name}`);
  }

  #release(): void {
    const [first] = this.#units;
    if (first !== undefined) this.#opened.raw(`RELEASE ${first.name}`);
    this.#units = [];
  }
}
