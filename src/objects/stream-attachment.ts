/**
 * What a watch stream's socket remembers while the member's memory is gone: who listens, to what, and how far
 * it was told.
 *
 * Platform: an attachment is a structured clone of at most 16,384 bytes (2026-11).
 *
 * @module
 */

import type { AuthId } from "../base/index.ts";
import type { StreamScope } from "../tree/index.ts";

/** Identities and subscriptions of one socket, estimated; more are refused. */
export const attachmentBytesMax = 15_000;

/** Version of {@link StreamAttachment}; no number, so that nobody takes it for a connection's. */
const version = "watch-1";

export interface StoredSubscription {
  readonly id: string;
  readonly path: string;
  readonly scope: StreamScope;
  readonly withValue: boolean;
  /** Printed: told through here, and no further. Absent: as far as the member had applied. */
  readonly cursor?: string | undefined;
}

export interface StreamAttachment {
  readonly version: typeof version;
  readonly identities: readonly AuthId[];
  /** Messages sent, and those of them that the client has taken in. */
  readonly seq: number;
  readonly acked: number;
  /** Printed: everything through here was told. */
  readonly through: string;
  readonly subscriptions: readonly StoredSubscription[];
  /** Memory alone knows the rest: the stream cannot go on without it. */
  readonly isBound: boolean;
}

export function makeStreamAttachment(rest: Omit<StreamAttachment, "version">): StreamAttachment {
  return { version, ...rest };
}

/** `undefined` for what is not a stream's, or of another version. */
export function parseStreamAttachment(value: unknown): StreamAttachment | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record: Partial<Record<keyof StreamAttachment, unknown>> = { ...value };
  if (record.version !== version) return undefined;
  // Ours, of this version: nothing else writes attachments.
  return value as StreamAttachment;
}

/** Two bytes a unit once a text is not Latin-1, and a little for each. */
export function attachedBytes(
  identities: readonly AuthId[],
  subscriptions: Iterable<{ readonly id: string; readonly filter: { readonly path: string } }>,
): number {
  let bytes = 512;
  for (const { scheme, id } of identities) bytes += 2 * (scheme.length + id.length) + 32;
  for (const { id, filter } of subscriptions) bytes += 2 * (id.length + filter.path.length) + 96;
  return bytes;
}
