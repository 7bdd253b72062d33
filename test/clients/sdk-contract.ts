/**
 * The SDK's contracts on Apache ZooKeeper, through `zookeeper://`.
 *
 * @module
 */

import { connect } from "../../src/client/node/index.ts";
import { clientContract } from "../client/contract.ts";
import { holdingContract } from "../client/holding-contract.ts";
import { lockContract } from "../client/lock-contract.ts";
import { addressVariable } from "./sdk.ts";

const address = process.env[addressVariable];
if (address === undefined) throw new Error(`${addressVariable} names the ZooKeeper to test, host:port`);

const zookeeper = async () => ({
  connect: (options = {}) => connect(`zookeeper://${address}`, options),
  stop: async () => undefined,
});

clientContract("ZooKeeper", zookeeper);
lockContract("ZooKeeper", zookeeper, { hasLockChecks: false });
holdingContract("ZooKeeper", zookeeper);
