/**
 * The Worker's bounds: how much it reads, how long it waits, how often it tries.
 *
 * @module
 */

/**
 * A request frame's bytes: ZooKeeper's default `jute.maxbuffer`. What HTTP stores must be something a
 * ZooKeeper client could have stored, and can read.
 */
const frameBytesMax = 1_048_575;

/** Headers, stat, open ACL and sequence suffix of the longest frame around data and path: 99 bytes. */
const frameOverheadBytes = 128;

/** Data of a znode with a path of this many bytes of UTF-8. */
export function znodeDataBytesMax(pathBytes: number): number {
  return frameBytesMax - frameOverheadBytes - pathBytes;
}

/** A lock request: its owner may have 1 KiB, each byte of it escaped. */
export const lockBodyBytesMax = 16_384;

/** What the owner of a lock or a seat says of itself, bytes of UTF-8. */
export const ownerBytesMax = 1_024;

/** Seats of a semaphore: as many as an ensemble has sessions. */
export const seatsMax = 100_000;

/** A session order: one short field. */
export const sessionBodyBytesMax = 1_024;

/** How long a session over HTTP may live without a request, ms. Shorter ones would end in a failover. */
export const sessionTtlMsMin = 1_000;
export const sessionTtlMsMax = 600_000;
export const sessionTtlMsDefault = 30_000;

/** How long one request may wait to lead, ms. */
export const waitMsMax = 60_000;

/** What a candidate says of itself. */
export const candidateBytesMax = 1_024;

/** The parts of one transaction, and so the znodes of one recursive delete. Each is decided, logged and applied in one go, while others wait. */
export const transactionOperationsMax = 1_000;

/** Its JSON: a frame's bytes in base64, and as much again for names of fields and for escapes. */
export const transactionBodyBytesMax = 3 * 1_048_576;

/** What its paths, values and ACLs may have together, `operationOverheadBytes` of each part included. */
export const transactionBytesMax = frameBytesMax - frameOverheadBytes;

/** Headers, lengths, flags, TTL, sequence suffix and version of one part's frame: 52 bytes at most. */
export const operationOverheadBytes = 64;

/** How often a recursive delete looks again when others changed what it was about to delete. */
export const recursiveRoundsMax = 5;

/** An ACL as JSON: what the tree stores of one, each character of it escaped, and its punctuation. */
export const aclBodyBytesMax = 512 * 1024;

/** How often a lock's revocation or steal looks again when others changed what it is about. */
export const interventionRoundsMax = 5;

/** Entries of one ACL. A znode is checked against them one by one. */
export const aclEntriesMax = 100;

/** An order to add a member: four short fields. */
export const memberBodyBytesMax = 1_024;

/** How long one order about members may take: a new one catches up meanwhile. */
export const memberOrderMs = 20_000;

/** How long one `inspect` may take. Waking an object in another region takes a few hundred ms. */
export const inspectMs = 1_500;

/** How long a survey that knows enough still listens: members in health answer together. */
export const surveyGraceMs = 50;

/**
 * After how long without an answer a leader's successor is looked for. Above a healthy call from another region,
 * far below the 1.3 s after which followers give a silent leader up.
 */
export const suspectMs = 250;

/** When followers that noticed the silence at once may have elected: it is looked for them more often then. */
export const electionFromMs = 1_100;
export const electionToMs = 2_500;

/** How often that is, and how often an isolate looks at most. */
export const electionLookMs = 100;

/** How long one of the bootstrap calls may take: an object's first ever use is checked world-wide. */
export const bootstrapCallMs = 3_000;

/** How long one read may take before it is tried elsewhere. */
export const readMs = 2_500;

/** How long one write may take before its outcome is called unknown. Losing a quorum takes a leader less. */
export const writeMs = 8_000;

/** How long a member may take to report, and how long one that can is looked for. */
export const adminMs = 3_000;

/** How long a member may read its whole tree before it answers: some 12 s of work for a million znodes, more where it is busy. */
export const copyMs = 120_000;

/** How long opening a client connection may take, per member. */
export const connectMs = 4_000;

/** How often a silent stream of events sends a comment, and asks the platform whether its member is there. */
export const heartbeatMs = 15_000;

/** How long a browser waits before it opens a stream again that has ended. */
export const reconnectMs = 1_000;

/** What a waiting lock call gets on top of its wait. */
export const lockMarginMs = 5_000;

/** How long a leader is looked for before the request is given up; no attempt starts later. */
export const findLeaderMs = 10_000;

/** How long the member that was nearest is taken to be so still. */
export const nearestMs = 60_000;

/** Pauses between rounds of looking: doubling from the first, never above the last. */
export const pauseMsFirst = 25;
export const pauseMsLast = 1_000;

/** An overloaded leader is asked this often in all: more would be part of the overload. */
export const overloadedAttemptsMax = 3;

/** How often an unconditional PUT goes from set to create and back before it gives up. */
export const upsertRoundsMax = 5;

/** Names on one page of children: the default and the most. */
export const childrenPageMax = 1_000;
