/**
 * What else there is in Python: aiozk, a client of its own, and what OpenStack and Patroni make of kazoo.
 *
 * @module
 */

import { join } from "node:path";
import { pythonWith } from "./python.ts";
import { type Case, casesOf, type Suite } from "./suite.ts";

const here = import.meta.dirname;
const pytest = ["pytest==9.2.0", "pytest-timeout==2.4.0"];

const aiozk = pythonWith(
  "aiozk-0.32.0",
  ["aiozk==0.32.0", "pytest-asyncio==1.5.0", ...pytest],
  ["aiozk", "pytest_asyncio", "pytest_timeout"],
);

export const aiozkSuite: Suite = {
  name: "aiozk",
  title: "aiozk 0.32.0 (Python), its own suite",
  prepare: () => aiozk.prepare(),
  run({ address }) {
    const [host, port] = address.split(":");
    const args = [join(here, "pytest_cases.py"), "aiozk.test", "-o", "asyncio_mode=auto"];
    return casesOf(aiozk.program, args, {
      cwd: aiozk.directory,
      env: { ...process.env, ZK_HOST: host, ZK_PORT: port },
    });
  },
};

/** Its tests import all of its drivers, whichever they test. */
const toozDrivers = ["etcd3gw==2.7.0", "pymemcache==4.0.0", "redis==8.1.0", "sysv_ipc==1.2.0"];

const tooz = pythonWith(
  "tooz-9.1.0",
  [
    "tooz[zookeeper]==9.1.0",
    "kazoo==2.11.0",
    "testtools==2.9.1",
    "fixtures==4.3.2",
    ...toozDrivers,
    ...pytest,
  ],
  ["tooz", "kazoo", "testtools", "fixtures", "etcd3gw", "pymemcache", "redis", "sysv_ipc", "pytest_timeout"],
);

export const toozSuite: Suite = {
  name: "tooz",
  title: "tooz 9.1.0 of OpenStack (Python), its own suite",
  prepare: () => tooz.prepare(),
  async run({ address }) {
    const cases: Case[] = [];
    for (const name of ["test_coordination", "test_partitioner"]) {
      const args = [join(here, "pytest_cases.py"), `tooz.tests.${name}`];
      const env = { ...process.env, TOOZ_TEST_URL: `zookeeper://${address}` };
      cases.push(...(await casesOf(tooz.program, args, { cwd: tooz.directory, env })));
    }
    return cases;
  },
};

const patroni = pythonWith(
  "patroni-4.1.5",
  ["patroni[zookeeper]==4.1.5", "kazoo==2.11.0", "psycopg2-binary==2.9.13"],
  ["patroni.dcs.zookeeper"],
);

export const patroniSuite: Suite = {
  name: "patroni",
  title: "Patroni 4.1.5's cluster state (Python), a scripted session",
  prepare: () => patroni.prepare(),
  run: ({ address, controlUrl }) =>
    casesOf(patroni.program, [join(here, "patroni_session.py"), address, controlUrl], {
      cwd: patroni.directory,
    }),
};
