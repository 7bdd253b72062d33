/**
 * Apache Kafka as people run it: two brokers that register, elect a controller and keep their topics in ZooKeeper.
 * `kafka/KafkaSession.java` starts and kills them.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fetchJars } from "./maven.ts";
import { cacheDirectory, run } from "./programs.ts";
import { casesOf, type Suite } from "./suite.ts";

/** The last line of versions that can do without KRaft. */
const version = "3.9.1";
const sessionPath = join(import.meta.dirname, "kafka", "KafkaSession.java");

const directory = () => cacheDirectory(`kafka-${version}`);

export const kafkaSuite: Suite = {
  name: "kafka",
  title: `Apache Kafka ${version} with two brokers, a scripted session`,
  prepare() {
    if (run("javac", ["-version"], 30_000).code !== 0) return "javac (a JDK) is not installed";
    return fetchJars(directory(), [["org.apache.kafka", "kafka_2.13", version]]);
  },
  async run(target) {
    const cwd = mkdtempSync(join(directory(), "run-"));
    try {
      // Java compiles a program of one file as it starts it; the brokers get the same class path.
      const args = [
        "-cp",
        join(directory(), "lib", "*"),
        sessionPath,
        target.address,
        target.controlUrl,
        cwd,
      ];
      return await casesOf("java", args, { cwd });
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  },
};
