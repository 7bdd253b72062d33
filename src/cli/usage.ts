/**
 * Flags that every command reads the same way, and mistakes in them.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { Client } from "../client/index.ts";
import { connect } from "../client/node/index.ts";

/** The command line makes no sense: nothing was done. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Flags = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Flags only: a word that belongs to none is refused. */
export function parseFlags(args: readonly string[], options: Flags): Values {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values as Values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A flag's text, or the environment variable's that stands for it. */
export function textOf(values: Values, flag: string, variable?: string): string | undefined {
  const value = values[flag] ?? (variable === undefined ? undefined : process.env[variable]);
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function required(value: string | undefined, flag: string): string {
  if (value === undefined) throw new UsageError(`--${flag} is missing`);
  return value;
}

export function choice<Choice extends string>(
  value: string | undefined,
  flag: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  if (value === undefined) return choices[0];
  const chosen = choices.find((each) => each === value);
  if (chosen === undefined) throw new UsageError(`--${flag} is "${value}", not ${choices.join(" or ")}`);
  return chosen;
}

/**
 * A client for a URL or a `zookeeper://` connection string.
 *
 * @param auth - `scheme:credential`, such as `digest:super:secret`.
 */
export function clientFor(target: string, token: string | undefined, auth: string | undefined): Client {
  const colon = auth?.indexOf(":") ?? -1;
  if (auth !== undefined && colon < 1) throw new UsageError("the credential is not scheme:credential");
  const credentials =
    auth === undefined ? [] : [{ scheme: auth.slice(0, colon), auth: auth.slice(colon + 1) }];
  return connect(target, { token, auth: credentials });
}

/** A line of progress on a terminal, overwritten by the next; nothing elsewhere. */
export function progressLine(): { show(text: string): void; end(): void } {
  const { stderr } = process;
  let shownAtMs = 0;
  return {
    show(text) {
      const now = Date.now();
      if (!stderr.isTTY || now - shownAtMs < 100) return;
      shownAtMs = now;
      stderr.write(`\r\u001b[K${text}`);
    },
    end() {
      if (stderr.isTTY && shownAtMs > 0) stderr.write("\r\u001b[K");
    },
  };
}
