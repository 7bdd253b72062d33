/**
 * What `npm run test:clients` prints: a line per case, a total at the end.
 *
 * @module
 */

export class Report {
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  #about = "";

  get failed(): number {
    return this.#failed;
  }

  /** What follows is about this. */
  begin(what: string): void {
    this.#about = `, ${what}`;
  }

  pass(client: string, title: string): void {
    this.#passed += 1;
    console.log(`ok    ${client}${this.#about}: ${title}`);
  }

  fail(client: string, title: string, detail: string): void {
    this.#failed += 1;
    console.log(
      `FAIL  ${client}${this.#about}: ${title}\n      ${detail.trim().replaceAll("\n", "\n      ")}`,
    );
  }

  skip(client: string, reason: string): void {
    this.#skipped += 1;
    console.log(`SKIP  ${client}: ${reason}`);
  }

  /** Prints the totals; answers the exit code. */
  finish(): number {
    console.log(`${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped`);
    return this.#failed === 0 ? 0 : 1;
  }

  /** Runs one case. */
  async check(client: string, title: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.pass(client, title);
    } catch (error) {
      this.fail(client, title, error instanceof Error ? error.message : String(error));
    }
  }
}
