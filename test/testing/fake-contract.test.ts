/**
 * Proves that the fake ensemble gives the SDK's users what real servers give: the same contracts, run on it.
 *
 * Its time passes in small steps whenever nothing else happens, as the contracts know no clock.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { fakeEnsemble } from "../../src/testing/index.ts";
import { clientContract } from "../client/contract.ts";
import type { ContractServer } from "../client/contract-server.ts";
import { holdingContract } from "../client/holding-contract.ts";
import { lockContract } from "../client/lock-contract.ts";

async function fake(): Promise<ContractServer> {
  const ensemble = fakeEnsemble();
  let isOver = false;
  const passing = (async () => {
    for (; !isOver; await setImmediate()) await ensemble.advance(10);
  })();
  return {
    connect: (options = {}) => ensemble.connect(options),
    async stop() {
      isOver = true;
      await passing;
    },
  };
}

clientContract("fake ensemble", fake);
lockContract("fake ensemble", fake);
holdingContract("fake ensemble", fake);
