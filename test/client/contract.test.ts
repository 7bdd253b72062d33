/**
 * Proves the client's contract over a WebSocket and over the ZooKeeper port of a local ensemble.
 *
 * @module
 */

import { connect } from "../../src/client/node/index.ts";
import { startLocalProcess } from "../support/local-process.ts";
import { clientContract } from "./contract.ts";

clientContract("WebSocket", async () => {
  const ensemble = await startLocalProcess();
  return {
    connect: (options) => connect(`${ensemble.url}/v1/main`, options),
    stop: () => ensemble.dispose(),
  };
});

clientContract("ZooKeeper port", async () => {
  const ensemble = await startLocalProcess();
  return {
    connect: (options) => connect(`zookeeper://127.0.0.1:${ensemble.zkPort}`, options),
    stop: () => ensemble.dispose(),
  };
});
