/**
 * `node-zookeeper-client` from npm, unmodified, with promises: a ZooKeeper client that is none of ours.
 *
 * @module
 */

import { once } from "node:events";
import zookeeper, { type Client, type Event, type Exception } from "node-zookeeper-client";

export const { CreateMode } = zookeeper;

export interface NpmClient {
  readonly client: Client;
  /** Printed hex, to compare before and after. */
  readonly sessionId: string;
  create(path: string, data: string, mode?: number): Promise<string>;
  set(path: string, data: string, version?: number): Promise<number>;
  /** Reads, and leaves a watch when told what to do with its event. */
  get(path: string, watcher?: (event: Event) => void): Promise<{ data: string; version: number }>;
  children(path: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  /** Ends the session. */
  close(): void;
}

/** Connects, and resolves in a session. The client reconnects by itself; it retries no request. */
export async function connectNpmClient(port: number, sessionTimeout = 40_000): Promise<NpmClient> {
  const client = zookeeper.createClient(`127.0.0.1:${port}`, { sessionTimeout, spinDelay: 50, retries: 0 });
  const connected = once(client, "connected");
  client.connect();
  await connected;
  return {
    client,
    get sessionId() {
      return client.getSessionId().toString("hex");
    },
    create: (path, data, mode = CreateMode.PERSISTENT) =>
      promise((done) => client.create(path, Buffer.from(data), mode, done)),
    async set(path, data, version = -1) {
      const stat = await promise<{ version: number }>((done) =>
        client.setData(path, Buffer.from(data), version, done),
      );
      return stat.version;
    },
    get: (path, watcher) =>
      new Promise((resolve, reject) => {
        const done = (error: Failure, data: Buffer, stat: { version: number }) =>
          error ? reject(error) : resolve({ data: data.toString(), version: stat.version });
        if (watcher === undefined) client.getData(path, done);
        else client.getData(path, watcher, done);
      }),
    children: (path) => promise((done) => client.getChildren(path, done)),
    async exists(path) {
      return (await promise<unknown>((done) => client.exists(path, done))) !== null;
    },
    close: () => client.close(),
  };
}

/** Resolves in the client's session, whose connection it may have lost. */
export async function reconnected({ client }: NpmClient): Promise<void> {
  if (client.getState().name !== "SYNC_CONNECTED") await once(client, "connected");
}

type Failure = Error | Exception | null;

function promise<Value>(call: (done: (error: Failure, value: Value) => void) => void): Promise<Value> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}
