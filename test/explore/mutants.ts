/**
 * Mistakes that the search must find, each with the bounds within which it does.
 *
 * A mutant is a text in a file of the core and its replacement; the text must occur exactly once, so that
 * a mutant that no longer fits fails loudly. It is applied while a copy of the search is bundled into a
 * temporary directory, with the core's own assertions off: only the checkers count.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { beginWith } from "./begin.ts";
import type { Bounds } from "./bounds.ts";
import { reconfigurationMutants } from "./reconfiguration-mutants.ts";
import type { Limits, Report, search } from "./search.ts";
import type { Setup } from "./world.ts";

export interface Edit {
  /** In `src/zab`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** More than one where the core has a second line of defence. */
  readonly edits: readonly Edit[];
  readonly bounds: Partial<Bounds>;
  /** Other than three voters. */
  readonly setup?: Partial<Setup> | undefined;
  /** Which invariants may be the first to break. */
  readonly breaks: readonly string[];
  /** Takes a second or more: too long for the tests. */
  readonly isSlow?: true;
}

const checkSyncEnd: Edit = {
  file: "learner-sync.ts",
  find: "learning.staging === undefined && equalZxid(last(peer), packet.syncEnd)",
  replace: "true",
};

export const mutants: readonly Mutant[] = [
  {
    name: "accept an epoch already promised to another leader",
    edits: [
      {
        file: "learner.ts",
        find: "packet.epoch === acceptedEpoch && acceptedLeader === learning.leader",
        replace: "packet.epoch === acceptedEpoch",
      },
    ],
    bounds: { epochs: 2, follows: 4, timeouts: 3 },
    isSlow: true,
    breaks: ["I1"],
  },
  {
    name: "follow a leader of a lower epoch after a promise",
    edits: [
      {
        file: "learner.ts",
        find: "if (packet.epoch <= acceptedEpoch && !isRepeated) {",
        replace: "if (packet.epoch < 0) {",
      },
    ],
    bounds: { epochs: 2, follows: 4, timeouts: 2 },
    breaks: ["I1", "I2"],
  },
  {
    name: "choose the epoch after the last logged one",
    edits: [
      {
        file: "discovery.ts",
        find: "leading.epoch = highest + 1;",
        replace: "leading.epoch = last(peer).epoch + 1;",
      },
    ],
    bounds: { epochs: 2, follows: 4, crashes: 1 },
    breaks: ["I1", "I2"],
  },
  {
    name: "fix the history before a quorum has promised",
    edits: [
      {
        file: "discovery.ts",
        find: "if (!hasQuorum(peer.active, (id) => id === peer.id || promises(leading.slots.get(id)))) return;",
        replace: "",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 1, timeouts: 2 },
    isSlow: true,
    breaks: ["I3", "I7", "I8"],
  },
  {
    name: "count a promise of an ended session, or of another epoch",
    edits: [
      {
        file: "leader.ts",
        find: "if (slot === undefined || !sameSession(slot.session, packet.session)) return;",
        replace: "if (slot === undefined) return;",
      },
      { file: "leader.ts", find: "if (packet.epoch !== leading.epoch) return;", replace: "" },
    ],
    bounds: { epochs: 2, follows: 4, timeouts: 2 },
    breaks: ["I10"],
  },
  {
    name: "let a learner act on packets of an ended session",
    edits: [
      {
        file: "learner.ts",
        find: "if (from !== learning.leader || !sameSession(packet.session, learning.session)) return;",
        replace: "if (from !== learning.leader) return;",
      },
    ],
    bounds: { epochs: 1, follows: 3, timeouts: 1 },
    breaks: ["I10"],
  },
  {
    name: "do not compare histories",
    edits: [
      {
        file: "discovery.ts",
        find: "if (!slot.counts || compareRecency(theirs, mine) <= 0) return;",
        replace: "return;",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 1, timeouts: 1 },
    breaks: ["I3", "I7", "I8"],
  },
  {
    name: "count a voter with a more recent history",
    edits: [
      {
        file: "discovery.ts",
        find: "return slot?.counts === true && !slot.isFitter;",
        replace: "return slot?.counts === true;",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 1, timeouts: 1 },
    isSlow: true,
    breaks: ["I3", "I7", "I8"],
  },
  {
    name: "compare last zxids and not the epochs joined",
    edits: [
      {
        file: "vote.ts",
        find: "return a.currentEpoch === b.currentEpoch\n",
        replace: "return a.currentEpoch >= 0\n",
      },
    ],
    bounds: { epochs: 3, follows: 6, proposals: 2, crashes: 2 },
    isSlow: true,
    breaks: ["I3", "I7", "I8", "B3", "B6"],
  },
  {
    name: "establish the leader with the quorum of promises",
    edits: [
      {
        file: "discovery.ts",
        find: "  establishIfQuorum(peer, leading);",
        replace:
          "  for (const slot of leading.slots.values()) slot.joined = true;\n  establishIfQuorum(peer, leading);",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 1, crashes: 1 },
    breaks: ["C1"],
  },
  {
    name: "lead without a durable mark of it",
    edits: [
      {
        file: "broadcast.ts",
        find: "  promise(peer, { establishedEpoch: leading.epoch });",
        replace: "",
      },
    ],
    bounds: { epochs: 1, follows: 2, proposals: 1 },
    breaks: ["B1"],
  },
  {
    name: "commit what the leader alone has stored",
    edits: [
      {
        file: "quorum.ts",
        find: "descending[majority(voters.length) - 1]",
        replace: "descending[majority(voters.length) - 2]",
      },
    ],
    bounds: { epochs: 1, follows: 2, proposals: 1 },
    breaks: ["I7"],
  },
  {
    name: "truncate everything",
    edits: [
      {
        file: "learner-sync.ts",
        find: "truncate(peer, after);",
        replace: "truncate(peer, { epoch: 0, counter: 0 });",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 2, crashes: 1 },
    isSlow: true,
    breaks: ["I7", "I8"],
  },
  {
    name: "join the epoch when the synchronization begins",
    edits: [
      {
        file: "learner-sync.ts",
        find: '  learning.stage = "syncing";',
        replace: '  learning.stage = "syncing";\n  promise(peer, { currentEpoch: learning.epoch });',
      },
    ],
    bounds: { epochs: 3, follows: 6, proposals: 1, crashes: 2 },
    isSlow: true,
    breaks: ["I3", "I7", "I8"],
  },
  {
    name: "join the epoch before the entries",
    edits: [
      checkSyncEnd,
      {
        file: "stream.ts",
        find: "equalZxid(stream.sentThrough, stream.syncEnd)",
        replace: "true",
      },
    ],
    bounds: { epochs: 2, follows: 4, proposals: 1, timeouts: 1 },
    breaks: ["I3", "I6", "I7"],
  },
  {
    name: "deliver a proposal that is not committed",
    edits: [
      {
        file: "learner-sync.ts",
        find: "  commitThrough(peer, learning, packet.commitTo);",
        replace: "  commitThrough(peer, learning, last(peer));",
      },
    ],
    setup: { voters: 5 },
    bounds: { epochs: 1, follows: 2, proposals: 1 },
    breaks: ["I7"],
  },
  {
    name: "deliver the whole log at start",
    edits: [
      {
        file: "peer.ts",
        find: "delivered: durable.applied,",
        replace: "delivered: openHistory(durable.outline).last,",
      },
    ],
    bounds: { epochs: 1, follows: 2, proposals: 1, crashes: 1 },
    breaks: ["I7"],
  },
  {
    name: "remember a promise and do not store it",
    edits: [
      {
        file: "peer-state.ts",
        find: '  peer.draft.store.push({ kind: "promises", promises: peer.promises });',
        replace: "",
      },
    ],
    bounds: { epochs: 1, follows: 2 },
    breaks: ["5.4"],
  },
  {
    name: "send observers what is not committed",
    edits: [
      {
        file: "stream.ts",
        find: "  const end = slot.counts ? last(peer) : peer.delivered;",
        replace: "  const end = last(peer);",
      },
    ],
    setup: { voters: 3, observers: 1 },
    bounds: { epochs: 1, follows: 3, proposals: 1 },
    breaks: ["I7"],
  },
  {
    name: "answer a read without asking anybody",
    edits: [
      {
        file: "confirm-rounds.ts",
        find: "if (!hasQuorum(peer.active, (id) => id === peer.id || round.confirmedBy.has(id))) return;",
        replace: "",
      },
    ],
    bounds: { epochs: 2, follows: 3, proposals: 1, timeouts: 1, reads: 1 },
    breaks: ["R"],
  },
  {
    name: "count a confirmation of an earlier round",
    edits: [
      {
        file: "confirm-rounds.ts",
        find: "|| pong.confirmRound !== round.number",
        replace: "",
      },
    ],
    bounds: { epochs: 2, follows: 3, proposals: 1, timeouts: 2, reads: 2 },
    isSlow: true,
    breaks: ["R"],
  },
  {
    name: "go on behind what was compacted away",
    edits: [
      {
        file: "stream.ts",
        find: "  if (compareZxid(after, outline.base) < 0) return undefined;\n",
        replace: "",
      },
      {
        file: "stream.ts",
        find: "if (batch === undefined || batch.epoch !== next?.epoch || batch.first !== next.counter) return undefined;",
        replace: "if (batch === undefined || next === undefined) return undefined;",
      },
    ],
    setup: { flow: true },
    bounds: { epochs: 2, follows: 3, proposals: 3, timeouts: 1, compactions: 1 },
    isSlow: true,
    breaks: ["I5"],
  },
  {
    name: "replace a log by a snapshot that reaches less far",
    edits: [
      {
        file: "sync-decision.ts",
        find: "if (compareZxid(question.leaderDelivered, common) <= 0) return undefined;",
        replace: "",
      },
      { file: "stream.ts", find: "compareZxid(source.zxid, above) > 0 &&", replace: "" },
    ],
    setup: { snapshots: true },
    bounds: { epochs: 2, follows: 4, proposals: 1, timeouts: 2 },
    isSlow: true,
    breaks: ["I7", "I8"],
  },
  {
    name: "resume an epoch after the promise of a later one",
    edits: [
      {
        file: "resume.ts",
        find: "currentEpoch === acceptedEpoch &&\n    establishedEpoch === acceptedEpoch",
        replace: "establishedEpoch > 0",
      },
    ],
    setup: { resumes: true, begin: beginWith("warm") },
    bounds: { epochs: 1, follows: 2, proposals: 1, crashes: 1, timeouts: 2 },
    breaks: ["I5", "B6"],
  },
  {
    name: "serve before a quorum has come back",
    edits: [
      {
        file: "broadcast.ts",
        find: "if (!hasQuorum(peer.active, (id) => id === peer.id || joins(leading.slots.get(id)))) return;",
        replace:
          "if (!leading.isResumed && !hasQuorum(peer.active, (id) => id === peer.id || joins(leading.slots.get(id)))) return;",
      },
    ],
    setup: { resumes: true, begin: beginWith("warm") },
    bounds: { proposals: 1, crashes: 1 },
    breaks: ["I7"],
  },
  ...reconfigurationMutants,
];

const source = fileURLToPath(new URL("../../src/", import.meta.url));

/** Runs the search over a core with one mistake; without one it is a control, with its assertions off. */
export async function searchMutant(
  mutant: Mutant | undefined,
  setup: Setup,
  limits: Limits,
): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), "explore-"));
  try {
    const outfile = join(directory, "search.mjs");
    await build({
      entryPoints: [fileURLToPath(new URL("./search.ts", import.meta.url))],
      bundle: true,
      format: "esm",
      platform: "node",
      outfile,
      logLevel: "silent",
      plugins: [
        {
          name: "mutant",
          setup(plugin) {
            plugin.onLoad({ filter: /src[\\/](?:zab[\\/][\w-]+|base[\\/]assert)\.ts$/ }, async ({ path }) => {
              const text = await readFile(path, "utf8");
              return { contents: mutate(path, text, mutant), loader: "ts" };
            });
          },
        },
      ],
    });
    const bundle: { search: typeof search } = await import(pathToFileURL(outfile).href);
    return bundle.search(setup, limits);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function mutate(path: string, text: string, mutant: Mutant | undefined): string {
  if (path === join(source, "base", "assert.ts"))
    return replaceOnce(text, "if (!condition) throw new AssertionFailure(claim);", "");
  const edits = mutant?.edits.filter(({ file }) => path === join(source, "zab", file)) ?? [];
  return edits.reduce((edited, { find, replace }) => replaceOnce(edited, find, replace), text);
}

function replaceOnce(text: string, find: string, replace: string): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`found ${parts.length - 1} times: ${find}`);
  return parts.join(replace);
}
