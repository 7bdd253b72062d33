/**
 * What loops that follow znodes share: waiting for whatever may have changed, and reading what may be gone.
 *
 * @module
 */

import { undefinedIf } from "../client/index.ts";

/** For a read of what may be gone. */
export const orMissing = undefinedIf("NoNode");

/** Lets one loop wait for whatever may have changed; rings in quick succession count as one. */
export class Bell {
  #ring: () => void = () => undefined;
  #rung = this.#next();

  ring(): void {
    this.#ring();
  }

  /** Resolves when it has rung since the last `heard`. */
  async heard(): Promise<void> {
    await this.#rung;
    this.#rung = this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }
}
