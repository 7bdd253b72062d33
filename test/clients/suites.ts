/**
 * Every suite, in the order of the page.
 *
 * @module
 */

import { goAncestorSuite, goSuite } from "./go-suite.ts";
import { curatorSuites, javaClientSuite } from "./java-suites.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { kazooSuite } from "./kazoo-suite.ts";
import { aiozkSuite, patroniSuite, toozSuite } from "./python-suites.ts";
import { rustAsyncSuite } from "./rust-async-suite.ts";
import { cSuite, nodeSuite, rustSuite } from "./session-suites.ts";
import type { Suite } from "./suite.ts";

export const suites: readonly Suite[] = [
  ...[kazooSuite, aiozkSuite, toozSuite, patroniSuite],
  ...[javaClientSuite, ...curatorSuites],
  ...[goSuite, goAncestorSuite, nodeSuite, cSuite, rustSuite, rustAsyncSuite, kafkaSuite],
  ...[everyMember(kazooSuite), everyMember(javaClientSuite)],
];

/** The same, moving between the members. */
function everyMember(suite: Suite): Suite {
  return {
    ...suite,
    name: `${suite.name}-members`,
    title: `${suite.title}, an address per member`,
    everyMember: true,
  };
}
