/**
 * Bytes in, records out: ZooKeeper's wire format, and the packed records of our own.
 *
 * Encoders append to a `JuteWriter` (wire frames) or return bytes (our records). Decoders never throw on
 * bad bytes: they return `undefined` or a result that says so.
 *
 * @module
 */

export { Adler } from "./checksums.ts";
export {
  decodeConnectRequest,
  decodeConnectResponse,
  encodeConnectRequest,
  encodeConnectResponse,
  passwordBytes,
} from "./connect.ts";
export { FrameDecoder, frameBytesMax, type NextFrame } from "./framing.ts";
export {
  encodeLaneEnd,
  encodeLaneHead,
  encodeLaneTurn,
  type LanePart,
  LaneReader,
  laneHeadBytes,
  laneMax,
} from "./lanes.ts";
export { packPayloads, unpackPayloads } from "./payloads.ts";
export { JuteError, JuteReader, JuteWriter, tryRead } from "./primitives.ts";
export {
  type DecodedBody,
  decodeEvent,
  decodeReplyBody,
  decodeReplyHeader,
  encodeEvent,
  encodeReply,
  type ReplyHeader,
} from "./replies.ts";
export {
  type DecodedRequest,
  decodeRequest,
  decodeRequestHeader,
  encodeRequest,
  type RequestHeader,
} from "./requests.ts";
export {
  FileMagic,
  fileVersion,
  type LoggedOp,
  type LoggedTxn,
  lifetimeOf,
  openAclIndex,
  ownerOf,
  type PersistedStat,
  readFileHeader,
  readLoggedTxn,
  readSnapshotPreamble,
  readSnapshotZnode,
  type SnapshotZnode,
} from "./server-files.ts";
export {
  AclIndex,
  type DescribedZnode,
  describeZnode,
  digestVersion,
  SnapshotWriter,
  snapshotBytes,
  TreeDigest,
} from "./snapshot-writer.ts";
export { decodeTxn, encodeTxn, membershipOf } from "./txns.ts";
export { decodeSession, decodeZnode, encodeSession, encodeZnode } from "./znodes.ts";
