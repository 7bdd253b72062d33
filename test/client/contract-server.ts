/**
 * Where a contract's tests run: a server that is started for them, a client of it, and more when they ask.
 *
 * @module
 */

import { afterAll, beforeAll, describe } from "vitest";
import type { Client } from "../../src/client/index.ts";

export interface ContractServer {
  /** Another client of the same ensemble. */
  connect(options?: { readonly sessionTimeout?: "4s"; readonly chroot?: string }): Client;
  stop(): Promise<void>;
}

/** What the tests of one contract share. */
export interface Shared {
  readonly connect: ContractServer["connect"];
  /** Connected before the first test, closed behind the last. */
  readonly zk: Client;
}

/** @param start - Starts the server; answers how to reach it and how to stop it. */
export function describeOn(
  name: string,
  start: () => Promise<ContractServer>,
  suite: (on: Shared) => void,
): void {
  describe(name, () => {
    let server: ContractServer | undefined;
    let zk: Client | undefined;
    function running<Value>(value: Value | undefined): Value {
      if (value === undefined) throw new Error("the server runs from the first test to the last");
      return value;
    }
    beforeAll(async () => {
      server = await start();
      zk = server.connect();
    });
    afterAll(async () => {
      await zk?.close();
      await server?.stop();
    });
    suite({
      connect: (options) => running(server).connect(options),
      get zk() {
        return running(zk);
      },
    });
  });
}
