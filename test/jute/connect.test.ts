/**
 * The handshake: byte for byte what ZooKeeper and its clients send, with and without the readOnly byte.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConnectRequest, ConnectResponse } from "../../src/base/index.ts";
import {
  decodeConnectRequest,
  decodeConnectResponse,
  encodeConnectRequest,
  encodeConnectResponse,
} from "../../src/jute/connect.ts";
import { JuteWriter } from "../../src/jute/primitives.ts";
import * as arb from "./arbitraries.ts";
import { bytesOf, feedDamaged, hexOf, truncationsOf } from "./hostile.ts";

const password = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const zeros = "00".repeat(16);

const newSession: ConnectRequest = {
  protocolVersion: 0,
  lastZxidSeen: 0n,
  timeoutMs: 30_000,
  sessionId: 0n,
  password: new Uint8Array(16),
  readOnly: false,
};

const renewal: ConnectRequest = {
  protocolVersion: 0,
  lastZxidSeen: 0x100000002n,
  timeoutMs: 30_000,
  sessionId: BigInt.asIntN(64, 0xff00a3c2f5b00001n),
  password,
  readOnly: true,
};

/** Captured from ZooKeeper 3.9.4 `ConnectRequest`; the first two are the spec's section 28. */
const requests: [string, string, ConnectRequest][] = [
  [
    "a new session",
    `0000002d 00000000 0000000000000000 00007530 0000000000000000 00000010 ${zeros} 00`,
    newSession,
  ],
  [
    "a client without the readOnly byte",
    `0000002c 00000000 0000000000000000 00007530 0000000000000000 00000010 ${zeros}`,
    { ...newSession, readOnly: undefined },
  ],
  [
    "a renewal",
    "0000002d 00000000 0000000100000002 00007530 ff00a3c2f5b00001 00000010 0102030405060708090a0b0c0d0e0f10 01",
    renewal,
  ],
  [
    "a null password",
    "0000001d 00000000 0000000000000000 00007530 0000000000000000 ffffffff 00",
    { ...newSession, password: null },
  ],
];

const valid: ConnectResponse = {
  timeoutMs: 30_000,
  sessionId: BigInt.asIntN(64, 0xff00a3c2f5b00001n),
  password,
  readOnly: false,
};

const invalid: ConnectResponse = {
  timeoutMs: 0,
  sessionId: 0n,
  password: new Uint8Array(16),
  readOnly: false,
};

/** Captured from ZooKeeper 3.9.4 `ConnectResponse`. */
const responses: [string, string, ConnectResponse][] = [
  [
    "a valid session",
    "00000025 00000000 00007530 ff00a3c2f5b00001 00000010 0102030405060708090a0b0c0d0e0f10 00",
    valid,
  ],
  [
    "a client without the readOnly byte",
    "00000024 00000000 00007530 ff00a3c2f5b00001 00000010 0102030405060708090a0b0c0d0e0f10",
    { ...valid, readOnly: undefined },
  ],
  ["an invalid session", `00000025 00000000 00000000 0000000000000000 00000010 ${zeros} 00`, invalid],
];

function encoded<Value>(encode: (writer: JuteWriter, value: Value) => void, value: Value): Uint8Array {
  const writer = new JuteWriter();
  encode(writer, value);
  return writer.take();
}

describe("connect request", () => {
  test.each(requests)("golden: %s", (_, hex, request) => {
    expect(hexOf(encoded(encodeConnectRequest, request))).toBe(hexOf(bytesOf(hex)));
    expect(decodeConnectRequest(bytesOf(hex).subarray(4))).toEqual(request);
  });

  test("decodeConnectRequest() accepts a request without the readOnly byte", () => {
    const frame = encoded(encodeConnectRequest, renewal).subarray(4, -1);
    expect(decodeConnectRequest(frame)).toEqual({ ...renewal, readOnly: undefined });
  });

  test("decodeConnectRequest() reads what kazoo 2.11.0 sends", () => {
    const frame = bytesOf(`00000000 0000000000000000 00002710 0000000000000000 00000010 ${zeros} 00`);
    expect(decodeConnectRequest(frame)).toEqual({ ...newSession, timeoutMs: 10_000 });
  });

  test("decodeConnectRequest() ignores bytes after the record", () => {
    const frame = bytesOf(`${hexOf(encoded(encodeConnectRequest, renewal).subarray(4))} ffff`);
    expect(decodeConnectRequest(frame)).toEqual(renewal);
  });

  test("decodeConnectRequest() reads back any request", () => {
    const anyRequest = fc.record({
      protocolVersion: arb.int,
      lastZxidSeen: arb.long,
      timeoutMs: arb.int,
      sessionId: arb.long,
      password: arb.bytesOrNull,
      readOnly: fc.option(fc.boolean(), { nil: undefined }),
    });
    fc.assert(
      fc.property(anyRequest, (request) => {
        expect(decodeConnectRequest(encoded(encodeConnectRequest, request).subarray(4))).toEqual(request);
      }),
    );
  });

  test.each(requests)(
    "decodeConnectRequest() never throws on cut or damaged bytes: %s",
    (_, hex, request) => {
      const frame = bytesOf(hex).subarray(4);
      for (const cut of truncationsOf(frame)) {
        const isOnlyReadOnlyMissing = request.readOnly !== undefined && cut.length === frame.length - 1;
        expect(decodeConnectRequest(cut) !== undefined).toBe(isOnlyReadOnlyMissing);
      }
      feedDamaged(frame, decodeConnectRequest);
    },
  );
});

describe("connect response", () => {
  test.each(responses)("golden: %s", (_, hex, response) => {
    expect(hexOf(encoded(encodeConnectResponse, response))).toBe(hexOf(bytesOf(hex)));
    expect(decodeConnectResponse(bytesOf(hex).subarray(4))).toEqual(response);
  });

  test("encodeConnectResponse() asserts that the password has 16 bytes", () => {
    const short = { ...valid, password: new Uint8Array(15) };
    expect(() => encoded(encodeConnectResponse, short)).toThrow("16 bytes");
  });

  test.each(["00000000", "ffffffff", `0000000f ${"00".repeat(15)}`])(
    "decodeConnectResponse() refuses the password %s",
    (hex) => {
      expect(decodeConnectResponse(bytesOf(`00000000 00007530 0000000000000001 ${hex}`))).toBe(undefined);
    },
  );

  test.each(responses)("decodeConnectResponse() never throws on cut or damaged bytes: %s", (_, hex) => {
    const frame = bytesOf(hex).subarray(4);
    for (const cut of truncationsOf(frame)) {
      expect(decodeConnectResponse(cut) !== undefined).toBe(cut.length === 36);
    }
    feedDamaged(frame, decodeConnectResponse);
  });
});
