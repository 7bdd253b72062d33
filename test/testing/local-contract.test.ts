/**
 * Proves the client's contracts over a WebSocket and over the ZooKeeper port of a local ensemble.
 *
 * @module
 */

import { afterAll, beforeAll } from "vitest";
import { connect } from "../../src/client/node/index.ts";
import { type LocalEnsemble, startEnsemble } from "../../src/testing/index.ts";
import { clientContract } from "../client/contract.ts";
import { holdingContract } from "../client/holding-contract.ts";
import { lockContract } from "../client/lock-contract.ts";

let ensemble: LocalEnsemble;

beforeAll(async () => {
  ensemble = await startEnsemble();
});
afterAll(() => ensemble?.close());

const webSocket = async () => ({
  connect: (options = {}) => ensemble.connect(options),
  stop: async () => undefined,
});

const port = async () => ({
  connect: (options = {}) => connect(ensemble.zookeeperUrl, options),
  stop: async () => undefined,
});

clientContract("WebSocket", webSocket);
clientContract("ZooKeeper port", port);
lockContract("WebSocket", webSocket);
lockContract("ZooKeeper port", port);
holdingContract("WebSocket", webSocket);
holdingContract("ZooKeeper port", port);
