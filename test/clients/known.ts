/**
 * Cases that pass on ZooKeeper and not here, and why that is meant, or not yet otherwise.
 *
 * @module
 */

import type { Compared } from "./suite.ts";

interface Known {
  readonly suite: string;
  /** The case's whole title. */
  readonly title: string;
  readonly reason: string;
  /** It fails now and then. Default: always, and once it passes its reason has to go. */
  readonly sometimes?: true;
}

const drawn =
  "It opens two clients and wants one of the three servers to have both. Where each goes is drawn by lot, on " +
  "ZooKeeper as well";

const knownDifferences: readonly Known[] = [
  {
    suite: "curator-leader",
    title: "TestLeaderLatch.testCallbackNotifyLeader",
    reason:
      "It counts before its own executor has run the last callback. Alone it failed 3 times of 25 here and 6 of 60 " +
      "on ZooKeeper; waiting for the executor, 0 of 60 here",
    sometimes: true,
  },
  {
    suite: "curator-counters",
    title: "TestSharedCount.testMultiClients",
    reason:
      "A client that hears late of its first connection calls its listener once more than the test counts on, which " +
      "then sets values before all have read. Alone it failed once of 12 here, once of 15 on ZooKeeper; traced, " +
      "every watch that was set fired once, before any answer that knew of its change, on both",
    sometimes: true,
  },
  {
    suite: "curator-counters",
    title: "TestSharedCount.testDisconnectReconnectEventDoesNotFireValueWatcher",
    reason:
      "It wants its server back within 2 s, and that one thread of the client, told of a change, reads it before " +
      "another does, whose write has just been answered. Alone it failed 5 times of 25 here, 2 of 20 on ZooKeeper",
    sometimes: true,
  },
  {
    suite: "java",
    title: "FourLetterWordsTest.testFourLetterWords",
    reason: "It wants `java.version` of `envi`, and there is no JVM here",
  },
  {
    suite: "java-members",
    title: "FourLetterWordsTest.testValidateConsOutput",
    reason: drawn,
    sometimes: true,
  },
  {
    suite: "java-members",
    title: "FourLetterWordsTest.testValidateStatOutput",
    reason: drawn,
    sometimes: true,
  },
  {
    suite: "go",
    title: "TestIntegration_DNSHostProviderReconnect",
    reason:
      "It asks while it stops its server, and depends on which is first: in another run it failed on ZooKeeper",
    sometimes: true,
  },
];

export function reasonFor(suite: string, title: string): string | undefined {
  return knownDifferences.find((known) => known.suite === suite && known.title === title)?.reason;
}

/** The cases of a suite that are said to fail here always, and have not: their reasons are out of date. */
export function staleReasons(
  suite: string,
  cases: readonly Pick<Compared, "title" | "verdict">[],
): readonly string[] {
  const failed = new Set(cases.filter(({ verdict }) => verdict === "fails").map(({ title }) => title));
  return knownDifferences
    .filter((known) => known.suite === suite && known.sometimes !== true && !failed.has(known.title))
    .map(({ title }) => title);
}
