/**
 * Where a search begins: nowhere, or after commands that lead to a more interesting state.
 *
 * `lead 1, follow 2->1, settle, propose 1, crash 1, giveUp 2, compact 1`: servers by their ids; `settle`
 * delivers until nothing is under way, `lose 1->2` drops what was under way when 1 crashed. `change 1 to 12+3`
 * proposes that configuration, and `tell 3` lets 3 hear of the latest that somebody follows. What happens here
 * uses up no bound.
 *
 * @module
 */

import type { Action } from "./actions.ts";

export type Command = Action | { readonly kind: "settle" };

export const beginnings: Readonly<Record<string, string>> = {
  cold: "",
  /** Everybody has joined epoch 1 and delivered its first txn. */
  warm: "lead 1, follow 2->1, follow 3->1, settle, propose 1, settle",
  /** The first txn is committed; of a second only its author knows, and it has restarted. */
  tail: "lead 1, follow 2->1, follow 3->1, settle, propose 1, settle, propose 1, crash 1, lose 1->2, lose 1->3",
  /** Two leaders each left a txn that only they know, of epochs 1 and 2. */
  parted:
    "lead 1, follow 2->1, settle, propose 1, crash 1, lose 1->2, lead 2, follow 3->2, settle, propose 2, crash 2, lose 2->3",
  /** A change is in the log of its author alone, which has restarted. The author stays a voter. */
  changing: "lead 1, follow 2->1, settle, change 1 to 12, crash 1, lose 1->2, lose 1->3",
};

/** A name of `beginnings`, or commands. `undefined` when they cannot be read. */
export function parseBeginning(text: string): readonly Command[] | undefined {
  const words = (beginnings[text] ?? text).split(",").map((word) => word.trim());
  const commands = words.filter((word) => word !== "").map(parseCommand);
  const known = commands.filter((command) => command !== undefined);
  return known.length === commands.length ? known : undefined;
}

/** @throws when they cannot be read. */
export function beginWith(text: string): readonly Command[] {
  const commands = parseBeginning(text);
  if (commands === undefined) throw new Error(`what is "${text}"?`);
  return commands;
}

function parseCommand(text: string): Command | undefined {
  if (text === "settle") return { kind: "settle" };
  const follow = /^follow (\d)->(\d)$/.exec(text);
  if (follow !== null) return { kind: "follow", at: Number(follow[1]) - 1, leader: Number(follow[2]) - 1 };
  const lose = /^lose (\d)->(\d)$/.exec(text);
  if (lose !== null) return { kind: "lose", from: Number(lose[1]) - 1, to: Number(lose[2]) - 1 };
  const change = /^change (\d) to ([\d+]+)$/.exec(text);
  if (change !== null) return { kind: "change", at: Number(change[1]) - 1, to: change[2] ?? "" };
  const [, kind, id] = /^(lead|propose|crash|giveUp|compact|tell) (\d)$/.exec(text) ?? [];
  const at = Number(id) - 1;
  switch (kind) {
    case "crash":
      return { kind, at, checkpointed: false };
    case "lead":
    case "propose":
    case "giveUp":
    case "compact":
    case "tell":
      return { kind, at };
    default:
      return undefined;
  }
}

/** As `parseBeginning` reads it. */
export function formatCommand(command: Command): string {
  if (command.kind === "settle") return "settle";
  if (command.kind === "follow") return `follow ${command.at + 1}->${command.leader + 1}`;
  if (command.kind === "change") return `change ${command.at + 1} to ${command.to}`;
  if (command.kind === "lose" || command.kind === "deliver")
    return `${command.kind} ${command.from + 1}->${command.to + 1}`;
  return `${command.kind} ${command.at + 1}`;
}
