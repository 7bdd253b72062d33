/**
 * Channels: what is under way from one member to another, first-in first-out.
 *
 * A channel is a list of packets and marks, and a list is a number. A mark is where an association ends:
 * the sender gave it up (`LOST`) or restarted (`RESTARTED`), and its receiver learns of it when the mark
 * arrives, which may be at any time: what stands before it may still come, or never.
 *
 * A packet's session belongs to one of its two ends. Here `session.incarnation` says to which
 * (`SENDER` or `RECEIVER`), so a packet names no server and can be shared by all of them.
 *
 * @module
 */

import { unreachable, type Zxid } from "../../src/base/index.ts";
import type { Batch, LearnerSession, Outline, Packet } from "../../src/zab/index.ts";
import { configName, format } from "./histories.ts";
import { Interned, PairMap } from "./tables.ts";

export const SENDER = 0;
export const RECEIVER = 1;

/** Packets that belong to a session. The others only help members to find each other: an oracle does that here. */
export type SessionPacket = Exclude<Packet, { kind: "notify" | "solicit" | "decline" }>;

export function isSessionPacket(packet: Packet): packet is SessionPacket {
  return packet.kind !== "notify" && packet.kind !== "solicit" && packet.kind !== "decline";
}

/** Packet numbers of the marks. */
export const LOST = 0;
export const RESTARTED = 1;

export const EMPTY_LIST = 0;

interface Entry {
  /** `undefined` for a mark. */
  readonly packet: SessionPacket | undefined;
  readonly name: string;
}

/** Attempts are 1 to 15: one bit each. */
export const attemptMax = 15;

/** All of them, so that ranking leaves each as it is. Attempt 0 is none. */
export const anyAttempt = (2 << attemptMax) - 2;

interface List {
  readonly entries: readonly number[];
  /** Attempts of the sender's, and of the receiver's, sessions. */
  readonly senders: number;
  readonly receivers: number;
  /** Place of the first mark, or -1. */
  readonly mark: number;
}

export class Channels {
  readonly #packets = new Interned<Entry>();
  readonly #lists = new Interned<List>();
  readonly #appended = new PairMap();
  readonly #dropped = new PairMap();
  readonly #filtered = new PairMap();
  readonly #renamed = new PairMap();

  constructor() {
    this.#packets.id("lost", () => ({ packet: undefined, name: "lost" }));
    this.#packets.id("restarted", () => ({ packet: undefined, name: "restarted" }));
    this.#list([]);
  }

  get packets(): number {
    return this.#packets.size;
  }

  get lists(): number {
    return this.#lists.size;
  }

  /** Which packets were ever sent, by kind, mode and reason. */
  kinds(): string[] {
    const kinds = this.#packets.values.map(({ packet }) => {
      if (packet === undefined) return "";
      if (packet.kind === "sync") return `sync ${packet.mode}`;
      return packet.kind === "refuse" ? `refuse ${packet.reason}` : packet.kind;
    });
    return [...new Set(kinds)].filter((kind) => kind !== "").sort();
  }

  /** The number of a packet whose session names its end. */
  packet(packet: SessionPacket): number {
    const name = describe(packet);
    return this.#packets.id(`${packet.session.incarnation} ${name}`, () => ({ packet, name }));
  }

  packetAt(id: number): SessionPacket | undefined {
    return this.#packets.at(id).packet;
  }

  name(id: number): string {
    return this.#packets.at(id).name;
  }

  nameOfList(list: number): string {
    return this.#lists
      .at(list)
      .entries.map((id) => this.name(id))
      .join(", ");
  }

  entries(list: number): readonly number[] {
    return this.#lists.at(list).entries;
  }

  senders(list: number): number {
    return this.#lists.at(list).senders;
  }

  receivers(list: number): number {
    return this.#lists.at(list).receivers;
  }

  /** The first mark: its packet number, or -1. */
  mark(list: number): number {
    const { entries, mark } = this.#lists.at(list);
    return entries[mark] ?? -1;
  }

  append(list: number, packet: number): number {
    const known = this.#appended.get(list, packet);
    if (known >= 0) return known;
    const made = this.#list([...this.entries(list), packet]);
    this.#appended.set(list, packet, made);
    return made;
  }

  /** Ends the association. Two marks in a row are one; of a restart nothing else is to be said. */
  appendMark(list: number, mark: number): number {
    const entries = this.entries(list);
    const tail = entries.at(-1);
    if (tail !== LOST && tail !== RESTARTED) return this.append(list, mark);
    return this.append(this.#list(entries.slice(0, -1)), Math.max(tail, mark));
  }

  /** Without the first `count`. */
  drop(list: number, count: number): number {
    const known = this.#dropped.get(list, count);
    if (known >= 0) return known;
    const made = this.#list(this.entries(list).slice(count));
    this.#dropped.set(list, count, made);
    return made;
  }

  /** Without everything before the first mark. */
  fromMark(list: number): number {
    const { mark } = this.#lists.at(list);
    return mark <= 0 ? list : this.drop(list, mark);
  }

  /**
   * Without the packets that no receiver will ever take: those of a session of the receiver's that is not
   * its present one (`own`, 0: none), and those of a sender's session that is neither on record
   * (`slot`) nor announced by a CEPOCH further ahead.
   */
  filter(list: number, own: number, slot: number): number {
    if (list === EMPTY_LIST) return list;
    const known = this.#filtered.get(list, own * 16 + slot);
    if (known >= 0) return known;
    const made = this.#list(
      this.entries(list).filter((id, place) => this.#isAlive(list, { id, place, own, slot })),
    );
    this.#filtered.set(list, own * 16 + slot, made);
    return made;
  }

  /** Whether the first packet of a channel is of no session that its receiver knows of. */
  isEnded(id: number, own: number, slot: number): boolean {
    const packet = this.packetAt(id);
    if (packet === undefined || packet.kind === "cepoch") return false;
    const { incarnation, attempt } = packet.session;
    return attempt !== (incarnation === RECEIVER ? own : slot);
  }

  #isAlive(list: number, at: { id: number; place: number; own: number; slot: number }): boolean {
    const packet = this.packetAt(at.id);
    if (packet === undefined || packet.kind === "cepoch") return true;
    const { incarnation, attempt } = packet.session;
    if (incarnation === RECEIVER) return attempt === at.own;
    if (attempt === at.slot) return true;
    return this.entries(list)
      .slice(0, at.place)
      .some((id) => {
        const earlier = this.packetAt(id);
        return earlier?.kind === "cepoch" && earlier.session.attempt === attempt;
      });
  }

  /** With attempts replaced by their rank among those alive: bit masks for the sender's and the receiver's. */
  renameAttempts(list: number, senders: number, receivers: number): number {
    if (list === EMPTY_LIST) return list;
    const masks = senders * 65536 + receivers;
    const known = this.#renamed.get(list, masks | 0);
    if (known >= 0) return known;
    const made = this.#list(
      this.entries(list).map((id) => {
        const packet = this.packetAt(id);
        if (packet === undefined) return id;
        const { incarnation, attempt } = packet.session;
        const session = { incarnation, attempt: rank(incarnation === SENDER ? senders : receivers, attempt) };
        return this.packet({ ...packet, session });
      }),
    );
    this.#renamed.set(list, masks | 0, made);
    return made;
  }

  #list(entries: readonly number[]): number {
    return this.#lists.id(entries.join(), () => {
      let senders = 0;
      let receivers = 0;
      for (const id of entries) {
        const session = this.packetAt(id)?.session;
        if (session?.incarnation === SENDER) senders |= 1 << session.attempt;
        else if (session !== undefined) receivers |= 1 << session.attempt;
      }
      return { entries, senders, receivers, mark: entries.findIndex((id) => id <= RESTARTED) };
    });
  }
}

/** The place of an attempt among those alive, from 1. Attempt 0 is none. */
export function rank(alive: number, attempt: number): number {
  if (attempt === 0) return 0;
  let bits = alive & ((1 << (attempt + 1)) - 1);
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count += 1;
  return count;
}

/** Whether the attempts alive are 1, 2, ... without a gap. */
export function isRanked(alive: number): boolean {
  return (alive & 1) === 0 && ((alive + 2) & alive) === 0;
}

/** Every field of a packet: equal texts, equal packets. */
function describe(packet: SessionPacket): string {
  const parts = [packet.kind, `s${sessionName(packet.session)}`];
  switch (packet.kind) {
    case "cepoch":
      parts.push(`accepted=${packet.acceptedEpoch}`, `current=${packet.currentEpoch}`);
      parts.push(outlineName(packet.outline));
      if (packet.observer) parts.push("observer");
      break;
    case "newEpoch":
      parts.push(`e${packet.epoch}`);
      break;
    case "ackEpoch":
      parts.push(`e${packet.epoch}`, `current=${packet.currentEpoch}`, outlineName(packet.outline));
      parts.push(`delivered=${format(packet.delivered)}`);
      break;
    case "refuse":
      parts.push(packet.reason, `accepted=${packet.acceptedEpoch}`);
      break;
    case "sync":
      parts.push(`e${packet.epoch}`, packet.mode, `after=${format(packet.after)}`);
      parts.push(`syncEnd=${format(packet.syncEnd)}`, `snapshot=${packet.snapshotId}`);
      if (packet.config !== undefined) parts.push(`config=${configName(packet.config)}`);
      break;
    case "snapPage":
      parts.push(`e${packet.epoch}`, `${packet.snapshotId}/${packet.page}${packet.last ? "!" : ""}`);
      parts.push(packet.bytes.join("."));
      break;
    case "entries":
    case "inform":
      parts.push(`e${packet.epoch}`, `prev=${format(packet.prev)}`, batchName(packet.batch));
      break;
    case "propose":
      parts.push(`e${packet.epoch}`, `prev=${format(packet.prev)}`, batchName(packet.batch));
      parts.push(`commitTo=${format(packet.commitTo)}`);
      break;
    case "received":
      parts.push(`e${packet.epoch}`, `through=${format(packet.through)}`, `pages=${packet.pages}`);
      break;
    case "newLeader":
    case "ackLeader":
      parts.push(`e${packet.epoch}`, `syncEnd=${format(packet.syncEnd)}`);
      break;
    case "upToDate":
    case "commit":
      parts.push(`e${packet.epoch}`, `commitTo=${format(packet.commitTo)}`);
      break;
    case "ack":
      parts.push(`e${packet.epoch}`, `through=${format(packet.through)}`);
      break;
    case "ping":
      parts.push(`e${packet.epoch}`, `commitTo=${format(packet.commitTo)}`, `round=${packet.confirmRound}`);
      break;
    case "pong":
      parts.push(`e${packet.epoch}`, `through=${format(packet.through)}`, `round=${packet.confirmRound}`);
      break;
    case "quiesce":
      parts.push(`e${packet.epoch}`, `through=${format(packet.through)}`, `number=${packet.number}`);
      break;
    case "quiesced":
      parts.push(`e${packet.epoch}`, `number=${packet.number}`, `${packet.accepted}`);
      break;
    case "wake":
      parts.push(`e${packet.epoch}`);
      break;
    case "forward":
    case "answer":
      parts.push(`e${packet.epoch}`, `${packet.bytes.length}B`);
      break;
    default:
      unreachable(packet);
  }
  return parts.join(" ");
}

function sessionName({ attempt }: LearnerSession): string {
  return `${attempt}`;
}

export function outlineName({ base, runs }: Outline): string {
  const zxids: Zxid[] = [base, ...runs.map(({ epoch, last }) => ({ epoch, counter: last }))];
  return `outline=${zxids.map(format).join("")}`;
}

function batchName({ epoch, first, payloads }: Batch): string {
  return `${format({ epoch, counter: first })}#${payloads.map((payload) => payload.join(".")).join("#")}`;
}
