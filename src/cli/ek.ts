/**
 * `ek`: what an operator does from a shell. Noun or verb, then flags; data on stdout, talk on stderr.
 *
 * @module
 */

import { ZkError } from "../client/index.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { FileFault } from "./migration/byte-window.ts";
import { Conflict } from "./migration/write-tree.ts";
import { UsageError } from "./usage.ts";

interface Command {
  readonly summary: string;
  readonly usage: string;
  run(args: readonly string[]): Promise<void>;
}

const commands: Readonly<Record<string, Command>> = { import: importCommand, export: exportCommand };

/** 0 is success; the others say what kind of failure it was. */
const ExitCode = { Unexpected: 1, Usage: 2, NotFound: 3, Conflict: 4, Denied: 5, Unreachable: 6 } as const;

async function main([name, ...args]: readonly string[]): Promise<void> {
  const command = name === undefined ? undefined : commands[name];
  if (command === undefined) {
    if (name !== undefined && name !== "--help" && name !== "help") fail(`there is no command "${name}"`);
    return void console.log(overview());
  }
  if (args.includes("--help")) return void console.log(command.usage);
  try {
    await command.run(args);
  } catch (error) {
    report(error, command);
  }
}

function overview(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ek ${name.padEnd(8)} ${summary}`);
  return ["Usage: ek <command> [flags], or ek <command> --help", "", ...lines].join("\n");
}

function report(error: unknown, command: Command): void {
  if (error instanceof UsageError) {
    console.error(`error: ${error.message}\n\n${command.usage}`);
    process.exitCode = ExitCode.Usage;
  } else if (error instanceof Conflict) {
    console.error(`error: ${error.message}\nhint: choose --if-different keep or overwrite`);
    process.exitCode = ExitCode.Conflict;
  } else if (error instanceof FileFault) {
    console.error(`error: ${error.message}`);
    process.exitCode = ExitCode.NotFound;
  } else if (error instanceof ZkError) {
    console.error(`error: ${error.message}`);
    if (error.hint !== undefined) console.error(`hint: ${error.hint}`);
    process.exitCode = exitCodeOf(error);
  } else {
    console.error(error);
    process.exitCode = ExitCode.Unexpected;
  }
}

function exitCodeOf({ codeName }: ZkError): number {
  switch (codeName) {
    case "NoNode":
      return ExitCode.NotFound;
    case "NodeExists":
    case "BadVersion":
      return ExitCode.Conflict;
    case "NoAuth":
    case "AuthFailed":
      return ExitCode.Denied;
    case "ConnectionLoss":
    case "OperationTimeout":
    case "SessionExpired":
      return ExitCode.Unreachable;
    default:
      return ExitCode.Unexpected;
  }
}

function fail(message: string): void {
  console.error(`error: ${message}`);
  process.exitCode = ExitCode.Usage;
}

await main(process.argv.slice(2));
