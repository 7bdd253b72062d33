/**
 * node-zookeeper-client, unmodified, through a session of everything it can do. It has no suite of its own
 * that talks to a server.
 *
 * Started as `node node_session.ts HOST:PORT`; prints a JSON object per case, like the other sessions.
 *
 * @module
 */

import { strict as assert } from "node:assert";
import {
  ACL,
  type Client,
  CreateMode,
  createClient,
  type Event,
  Exception,
  Id,
  Permission,
} from "node-zookeeper-client";

const [address = ""] = process.argv.slice(2);
const root = `/node-${process.pid}`;

type Callback<Value> = (error: Error | Exception | null, value: Value) => void;

/** One call as a promise. */
function call<Value>(ask: (done: Callback<Value>) => void): Promise<Value> {
  return new Promise((resolve, reject) => {
    ask((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)));
  });
}

async function open(): Promise<Client> {
  const client = createClient(address, { sessionTimeout: 20_000, spinDelay: 100, retries: 50 });
  const connected = new Promise<void>((resolve) => client.once("connected", () => resolve()));
  client.connect();
  await connected;
  return client;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Exception ? error.getCode() : undefined;
}

async function refused(code: number, work: Promise<unknown>): Promise<void> {
  const outcome = await work.then(
    () => "done",
    (error: unknown) => codeOf(error) ?? error,
  );
  assert.equal(outcome, code);
}

const create = (zk: Client, path: string, data = "", mode: number = CreateMode.PERSISTENT) =>
  call<string>((done) => zk.create(path, Buffer.from(data), mode, done));

const cases: Record<string, (zk: Client) => Promise<void>> = {
  "create, getData, setData with versions": async (zk) => {
    assert.equal(await create(zk, root, "one"), root);
    const stat = await call<{ version: number }>((done) => zk.setData(root, Buffer.from("two"), 0, done));
    assert.equal(stat.version, 1);
    await refused(
      Exception.BAD_VERSION,
      call((done) => zk.setData(root, Buffer.from("x"), 0, done)),
    );
    const data = await call<Buffer>((done) => zk.getData(root, done));
    assert.equal(data.toString(), "two");
  },
  "sequential names count up": async (zk) => {
    const names = [];
    for (let i = 0; i < 3; i++)
      names.push(await create(zk, `${root}/s-`, "", CreateMode.PERSISTENT_SEQUENTIAL));
    assert.deepEqual(
      names,
      [0, 1, 2].map((count) => `${root}/s-${String(count).padStart(10, "0")}`),
    );
  },
  "an ephemeral goes with its session, and has no children": async (zk) => {
    const other = await open();
    await create(other, `${root}/e`, "", CreateMode.EPHEMERAL);
    await refused(Exception.NO_CHILDREN_FOR_EPHEMERALS, create(zk, `${root}/e/x`));
    const gone = new Promise<Event>((resolve) => zk.exists(`${root}/e`, resolve, () => undefined));
    await call((done) => zk.exists(`${root}/e`, done));
    other.close();
    assert.equal((await gone).getName(), "NODE_DELETED");
  },
  "watches fire once, in order": async (zk) => {
    const events: string[] = [];
    const note = (event: Event) => events.push(`${event.getName()} ${event.getPath()}`);
    await call((done) => zk.exists(`${root}/w`, note, done));
    await call((done) => zk.getChildren(root, note, done));
    await create(zk, `${root}/w`);
    await call((done) => zk.getData(`${root}/w`, note, done));
    await call((done) => zk.setData(`${root}/w`, Buffer.from("1"), done));
    await call((done) => zk.setData(`${root}/w`, Buffer.from("2"), done));
    await call((done) => zk.remove(`${root}/w`, (error) => done(error, undefined)));
    assert.deepEqual(events, [
      `NODE_CREATED ${root}/w`,
      `NODE_CHILDREN_CHANGED ${root}`,
      `NODE_DATA_CHANGED ${root}/w`,
    ]);
  },
  "a transaction happens whole, or not at all": async (zk) => {
    await call((done) =>
      zk.transaction().create(`${root}/t`).setData(`${root}/t`, Buffer.from("x")).commit(done),
    );
    const failing = zk.transaction().remove(`${root}/t`).check(`${root}/none`, -1);
    await refused(
      Exception.NO_NODE,
      call((done) => failing.commit(done)),
    );
    assert.notEqual(await call((done) => zk.exists(`${root}/t`, done)), null);
  },
  "ACLs keep strangers out": async (zk) => {
    const owner = await open();
    owner.addAuthInfo("digest", Buffer.from("bob:pw"));
    const acls = [new ACL(Permission.ALL, new Id("auth", ""))];
    await call<string>((done) => owner.create(`${root}/acl`, Buffer.from("mine"), acls, done));
    await refused(
      Exception.NO_AUTH,
      call((done) => zk.getData(`${root}/acl`, done)),
    );
    const [acl] = await call<ACL[]>((done) => owner.getACL(`${root}/acl`, done));
    assert.equal(acl?.id.id, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
    owner.close();
  },
  "getChildren, mkdirp, and what is not empty": async (zk) => {
    await call((done) => zk.mkdirp(`${root}/p/q/r`, (error) => done(error ?? null, undefined)));
    assert.deepEqual(await call((done) => zk.getChildren(`${root}/p`, done)), ["q"]);
    await refused(
      Exception.NOT_EMPTY,
      call((done) => zk.remove(`${root}/p`, (error) => done(error, undefined))),
    );
    await refused(Exception.NODE_EXISTS, create(zk, `${root}/p`));
  },
  "close ends the session at once": async (zk) => {
    const other = await open();
    await create(other, `${root}/closing`, "", CreateMode.EPHEMERAL);
    const ended = new Promise<void>((resolve) => other.once("disconnected", () => resolve()));
    other.close();
    await ended;
    assert.equal(await call((done) => zk.exists(`${root}/closing`, done)), null);
  },
};

const zk = await open();
for (const [title, play] of Object.entries(cases)) {
  const error = await play(zk).then(
    () => undefined,
    (reason: unknown) => reason ?? "rejected with nothing",
  );
  const outcome = error === undefined ? "passed" : "failed";
  console.log(JSON.stringify({ case: title, outcome, detail: error === undefined ? "" : String(error) }));
}
zk.close();
