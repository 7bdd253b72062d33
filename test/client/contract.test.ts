/**
 * Proves the client's contracts over a WebSocket and over the ZooKeeper port of a local ensemble.
 *
 * @module
 */

import { afterAll, beforeAll } from "vitest";
import { connect } from "../../src/client/node/index.ts";
import { type LocalProcess, startLocalProcess } from "../support/local-process.ts";
import { clientContract } from "./contract.ts";
import { holdingContract } from "./holding-contract.ts";
import { lockContract } from "./lock-contract.ts";

let ensemble: LocalProcess;

beforeAll(async () => {
  ensemble = await startLocalProcess();
});
afterAll(() => ensemble.dispose());

const webSocket = async () => ({
  connect: (options = {}) => connect(`${ensemble.url}/v1/main`, options),
  stop: async () => undefined,
});

const port = async () => ({
  connect: (options = {}) => connect(`zookeeper://127.0.0.1:${ensemble.zkPort}`, options),
  stop: async () => undefined,
});

clientContract("WebSocket", webSocket);
clientContract("ZooKeeper port", port);
lockContract("WebSocket", webSocket);
lockContract("ZooKeeper port", port);
holdingContract("WebSocket", webSocket);
holdingContract("ZooKeeper port", port);
