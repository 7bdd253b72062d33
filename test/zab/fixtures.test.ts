/**
 * The conversations in `fixtures/`: each block's commands print what stands below it.
 *
 * `EK_UPDATE_FIXTURES=1` writes the expectations anew: read a changed one as if you had typed it. When a
 * scenario ends, its faults end too, and the ensemble must recover.
 *
 * @module
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Script } from "./script.ts";

const folder = join(import.meta.dirname, "fixtures");
const updates = process.env["EK_UPDATE_FIXTURES"] === "1";

/** Prose, commands, the line of dashes, and what was printed. */
interface Block {
  readonly lines: readonly string[];
  readonly output: readonly string[];
}

interface Scenario {
  readonly name: string;
  readonly blocks: readonly Block[];
}

/** A scenario begins with `## name`. Blocks are parted by an empty line after their output. */
function parse(text: string): Scenario[] {
  return text
    .split(/^(?=## )/m)
    .filter((part) => part.startsWith("## "))
    .map((part) => {
      const [title = "", ...rest] = part.trimEnd().split("\n");
      const blocks: Block[] = [];
      let lines: string[] = [];
      let output: string[] | undefined;
      for (const line of [...rest, ""]) {
        if (line === "----") output = [];
        else if (output === undefined) lines.push(line);
        else if (line !== "") output.push(line);
        else {
          blocks.push({ lines, output });
          lines = [];
          output = undefined;
        }
      }
      return { name: title.slice(3), blocks };
    });
}

function isCommand(line: string): boolean {
  return line !== "" && !line.startsWith("#");
}

function runScenario({ blocks }: Scenario): { readonly blocks: Block[]; readonly recovers: boolean } {
  const script = new Script();
  const ran = blocks.map(({ lines }) => {
    const output = lines.filter(isCommand).flatMap((line) => script.run(line));
    return { lines, output: [...output, ...script.changes()] };
  });
  return { blocks: ran, recovers: script.recovers() };
}

function print(blocks: readonly Block[]): string {
  return blocks.map(({ lines, output }) => [...lines, "----", ...output, ""].join("\n")).join("\n");
}

for (const file of readdirSync(folder).sort()) {
  const text = readFileSync(join(folder, file), "utf8");
  const scenarios = parse(text);
  describe(file.replace(".txt", ""), () => {
    if (updates) {
      const head = text.slice(0, text.search(/^## /m));
      const body = scenarios.map((each) => `## ${each.name}\n${print(runScenario(each).blocks)}`).join("\n");
      writeFileSync(join(folder, file), `${head}${body}`);
    }
    test.each(scenarios.map((each) => [each.name, each] as const))("%s", (_name, scenario) => {
      const ran = runScenario(scenario);
      if (!updates) expect(print(ran.blocks)).toBe(print(scenario.blocks));
      expect(ran.recovers, "recovers when the faults end").toBe(true);
    });
  });
}
