/**
 * What a client's socket remembers while the member's memory is gone.
 *
 * Platform: an attachment is a structured clone of at most 16,384 bytes (2026-11).
 *
 * @module
 */

import {
  type AuthId,
  makeSessionId,
  OpCode,
  parseZxid,
  type Requester,
  type SessionId,
  type SetWatchesRequest,
  ZERO_ZXID,
  zxidToBigint,
} from "../base/index.ts";
import type { WatchSnapshot } from "../tree/index.ts";
import type { Introduction } from "./api.ts";

/** Identities and watches that do not fit cost their connection, should the member lose its memory. */
const attachmentBytesMax = 15_000;

/** Versions of {@link Attachment}: a deploy wakes sockets of the version before. */
type AttachmentVersion = typeof ownSocketVersion | typeof sharedSocketVersion;
const ownSocketVersion = 3;
/** Code that knows no shared sockets must not answer on the connection's own. */
const sharedSocketVersion = 4;

export interface Attachment {
  readonly version: AttachmentVersion;
  readonly introduction: Introduction;
  readonly identities: readonly AuthId[];
  /** 0 before the handshake is over. */
  readonly sessionId: bigint;
  readonly ownership: number;
  /** Printed: every event through here was sent, or the watch did not exist yet. */
  readonly zxid: string;
  readonly watches: StoredWatches | undefined;
  /** Memory alone knows the rest: the connection cannot go on without it. */
  readonly isBound: boolean;
  /** How its bytes travel; absent: on its own socket. */
  readonly way?: LaneWay | undefined;
}

/** How a connection's bytes travel on a socket that it shares. `turned`: what it is sent comes on its own again. */
export type LaneWay = "shared" | "turned";

export function versionWith(way: LaneWay | undefined): AttachmentVersion {
  return way === undefined ? ownSocketVersion : sharedSocketVersion;
}

/** As `setWatches` wants them. */
export interface StoredWatches {
  readonly data: readonly string[];
  readonly exist: readonly string[];
  readonly child: readonly string[];
}

export function parseAttachment(value: unknown): Attachment | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record: Partial<Record<keyof Attachment, unknown>> = { ...value };
  if (record.version !== ownSocketVersion && record.version !== sharedSocketVersion) return undefined;
  // Ours, of these versions: nothing else writes attachments.
  return value as Attachment;
}

/** Whose signs of life this socket shows; `undefined` before the handshake is over. */
export function sessionOfSocket(socket: WebSocket): SessionId | undefined {
  const attachment = parseAttachment(socket.deserializeAttachment());
  if (attachment === undefined || attachment.sessionId === 0n) return undefined;
  return makeSessionId(attachment.sessionId);
}

/** Asks for what its watches have missed, and for the others anew. */
export function missedBy({ watches, zxid }: Attachment): SetWatchesRequest | undefined {
  if (watches === undefined) return undefined;
  return {
    type: OpCode.SetWatches,
    relativeZxid: zxidToBigint(parseZxid(zxid) ?? ZERO_ZXID),
    ...watches,
    persistent: [],
    persistentRecursive: [],
  };
}

/** `tooMany`: too large to attach, or of a kind whose missed events nobody could tell. */
export function storableWatches(
  watches: WatchSnapshot | undefined,
  requester: Requester,
  exists: (path: string) => boolean,
): StoredWatches | "tooMany" | undefined {
  if (watches === undefined) return undefined;
  if (watches.persistent.length > 0 || watches.persistentRecursive.length > 0) return "tooMany";
  const identities = requester.identities.flatMap(({ scheme, id }) => [scheme, id]);
  const texts = [...identities, ...watches.data, ...watches.child];
  // Two bytes a unit once a text is not Latin-1, and a little for each.
  if (texts.reduce((sum, text) => sum + 2 * text.length + 16, 512) > attachmentBytesMax) return "tooMany";
  return {
    data: watches.data.filter(exists),
    exist: watches.data.filter((path) => !exists(path)),
    child: watches.child,
  };
}
