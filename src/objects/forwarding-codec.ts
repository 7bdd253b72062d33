/**
 * What learners and their leader say to each other about clients, as bytes.
 *
 * A learner's message is a list of entries in order; a client's frame is passed on as it came, behind an entry
 * that says whose it is, given once for as long as it stays the same. The leader's message answers in kind.
 * Each begins with a version; a reader refuses every version and every entry it does not know.
 *
 * @module
 */

import type { AuthId, Requester, SessionId, Zxid } from "../base/index.ts";
import { JuteError, type JuteReader, JuteWriter, tryRead } from "../jute/index.ts";
import type { Renewal } from "./agreement.ts";

const messageVersion = 1;

/** Numbers of entries: never reuse one. */
const Tag = { Sender: 1, Request: 2, Open: 3, Renew: 4, Confirm: 5, Touches: 6 } as const;
const AnswerTag = { Assigned: 1, Confirmed: 2, Unconfirmed: 3 } as const;

/** What a learner's clients ask, each in its turn. */
export type Entry =
  | { readonly kind: "request"; readonly requester: Requester; readonly frame: Uint8Array }
  | { readonly kind: "open"; readonly timeoutMs: number }
  | { readonly kind: "renew"; readonly renewal: Renewal }
  | { readonly kind: "confirm"; readonly id: number }
  | { readonly kind: "touches"; readonly sessions: readonly SessionId[] };

/** What the leader says of them. */
export type Reply =
  /** The next `count` requests, openings and renewals became `first` and what follows it. */
  | { readonly kind: "assigned"; readonly first: Zxid; readonly count: number }
  /** Leadership was confirmed after the question came; everything through `index` was committed before. */
  | { readonly kind: "confirmed"; readonly id: number; readonly index: Zxid }
  | { readonly kind: "unconfirmed"; readonly id: number };

/** Puts one message together. */
export class EntryWriter {
  readonly #writer = new JuteWriter(1024);
  #sender: Requester | undefined;

  constructor() {
    this.#writer.writeByte(messageVersion);
  }

  /** Of the message so far. */
  get length(): number {
    return this.#writer.length;
  }

  take(): Uint8Array {
    return this.#writer.take();
  }

  /** Copies `frame`. Requests of one connection that stand together name their sender once. */
  request(requester: Requester, frame: Uint8Array): void {
    const writer = this.#writer;
    if (this.#sender !== requester) {
      this.#sender = requester;
      writer.writeByte(Tag.Sender);
      writer.writeSessionId(requester.sessionId);
      writer.writeMs(requester.ownership ?? 0);
      writer.writeVarint(requester.identities.length);
      for (const { scheme, id } of requester.identities) {
        writer.writePackedText(scheme);
        writer.writePackedText(id);
      }
    }
    writer.writeByte(Tag.Request);
    writer.writeVarint(frame.length);
    writer.writeRaw(frame);
  }

  open(timeoutMs: number): void {
    this.#writer.writeByte(Tag.Open);
    this.#writer.writeInt(timeoutMs);
  }

  renew({ id, timeoutMs, ownership }: Renewal): void {
    this.#writer.writeByte(Tag.Renew);
    this.#writer.writeSessionId(id);
    this.#writer.writeInt(timeoutMs);
    this.#writer.writeMs(ownership);
  }

  confirm(id: number): void {
    this.#writer.writeByte(Tag.Confirm);
    this.#writer.writeMs(id);
  }

  touches(sessions: ReadonlySet<SessionId>): void {
    this.#writer.writeByte(Tag.Touches);
    this.#writer.writeVarint(sessions.size);
    for (const session of sessions) this.#writer.writeSessionId(session);
  }
}

/** `undefined` for bytes that no member of a known version wrote. Frames are views of `bytes`. */
export function decodeEntries(bytes: Uint8Array): readonly Entry[] | undefined {
  return tryRead(bytes, (reader) => {
    if (reader.readByte() !== messageVersion) throw new JuteError("unknown version");
    const entries: Entry[] = [];
    let sender: Requester | undefined;
    while (reader.remaining > 0) {
      const tag = reader.readByte();
      if (tag === Tag.Sender) sender = readSender(reader);
      else entries.push(readEntry(reader, tag, sender));
    }
    return entries;
  });
}

function readSender(reader: JuteReader): Requester {
  const sessionId = reader.readSessionId();
  const ownership = reader.readMs();
  const count = reader.readVarint();
  if (count * 2 > reader.remaining) throw new JuteError("more identities than bytes");
  const identities: AuthId[] = [];
  for (let i = 0; i < count; i++) {
    identities.push({ scheme: reader.readPackedText(), id: reader.readPackedText() });
  }
  return { sessionId, identities, ownership };
}

function readEntry(reader: JuteReader, tag: number, sender: Requester | undefined): Entry {
  switch (tag) {
    case Tag.Request: {
      if (sender === undefined) throw new JuteError("a request of nobody");
      return { kind: "request", requester: sender, frame: reader.readRaw(reader.readVarint()) };
    }
    case Tag.Open:
      return { kind: "open", timeoutMs: readTimeout(reader) };
    case Tag.Renew: {
      const id = reader.readSessionId();
      const timeoutMs = readTimeout(reader);
      return { kind: "renew", renewal: { id, timeoutMs, ownership: reader.readMs() } };
    }
    case Tag.Confirm:
      return { kind: "confirm", id: reader.readMs() };
    case Tag.Touches: {
      const count = reader.readVarint();
      if (count * 8 > reader.remaining) throw new JuteError("more sessions than bytes");
      return { kind: "touches", sessions: Array.from({ length: count }, () => reader.readSessionId()) };
    }
    default:
      throw new JuteError(`entry ${tag}`);
  }
}

function readTimeout(reader: JuteReader): number {
  const timeoutMs = reader.readInt();
  if (timeoutMs <= 0) throw new JuteError("a timeout that is not positive");
  return timeoutMs;
}

export function encodeReplies(replies: readonly Reply[]): Uint8Array {
  const writer = new JuteWriter(64);
  writer.writeByte(messageVersion);
  for (const reply of replies) {
    switch (reply.kind) {
      case "assigned":
        writer.writeByte(AnswerTag.Assigned);
        writer.writeZxid(reply.first);
        writer.writeVarint(reply.count);
        break;
      case "confirmed":
        writer.writeByte(AnswerTag.Confirmed);
        writer.writeMs(reply.id);
        writer.writeZxid(reply.index);
        break;
      case "unconfirmed":
        writer.writeByte(AnswerTag.Unconfirmed);
        writer.writeMs(reply.id);
        break;
    }
  }
  return writer.take();
}

/** `undefined` for bytes that no member of a known version wrote. */
export function decodeReplies(bytes: Uint8Array): readonly Reply[] | undefined {
  return tryRead(bytes, (reader) => {
    if (reader.readByte() !== messageVersion) throw new JuteError("unknown version");
    const replies: Reply[] = [];
    while (reader.remaining > 0) replies.push(readReply(reader));
    return replies;
  });
}

function readReply(reader: JuteReader): Reply {
  const tag = reader.readByte();
  switch (tag) {
    case AnswerTag.Assigned: {
      const first = reader.readZxid();
      const count = reader.readVarint();
      if (count === 0) throw new JuteError("an assignment of nothing");
      return { kind: "assigned", first, count };
    }
    case AnswerTag.Confirmed:
      return { kind: "confirmed", id: reader.readMs(), index: reader.readZxid() };
    case AnswerTag.Unconfirmed:
      return { kind: "unconfirmed", id: reader.readMs() };
    default:
      throw new JuteError(`reply ${tag}`);
  }
}
