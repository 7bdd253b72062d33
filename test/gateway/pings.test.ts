/**
 * Proves which pings the gateway answers itself: those after which nothing can have changed, and no bytes that
 * only look like one.
 *
 * @module
 */

import { describe, expect, test } from "vitest";
import { Pings } from "../../src/gateway/pings.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

const ping = hex("00000008 fffffffe 0000000b");
const pong = (zxid: string) => hex(`00000010 fffffffe ${zxid.padStart(16, "0")} 00000000`);
const request = hex("00000009 00000001 00000004 aa");
const reply = hex("00000010 00000001 0000000000000005 00000000");

/** A client that has pinged once, and has its answer. */
function rested(): Pings {
  const pings = new Pings();
  expect(pings.fromClient(ping)).toBe(false);
  pings.fromMember([pong("5")]);
  return pings;
}

describe("Pings", () => {
  test("the first goes to the member; later ones are answered as it was, once the platform has answered", () => {
    const pings = rested();
    for (let i = 0; i < 3; i++) {
      expect(pings.fromClient(ping)).toBe(true);
      expect(pings.answered()).toEqual({ toClient: pong("5") });
    }
    expect(pings.answered()).toEqual({});
  });

  test("after a request, or an event, the next goes to the member again", () => {
    const asked = rested();
    expect(asked.fromClient(request)).toBe(false);
    asked.fromMember([reply]);
    expect(asked.fromClient(ping)).toBe(false);
    const told = rested();
    told.fromMember([reply]);
    expect(told.fromClient(ping)).toBe(false);
    told.fromMember([pong("6")]);
    expect(told.fromClient(ping)).toBe(true);
    expect(told.answered()).toEqual({ toClient: pong("6") });
  });

  test("one that was held back while something passed goes to the member after all", () => {
    const pings = rested();
    expect(pings.fromClient(ping)).toBe(true);
    pings.fromMember([reply]);
    expect(pings.answered()).toEqual({ toMember: ping });
    pings.fromMember([pong("7")]);
    expect(pings.fromClient(ping)).toBe(false);
  });

  test("one that was held back, and then half a request came: it is answered as before", () => {
    const pings = rested();
    expect(pings.fromClient(ping)).toBe(true);
    expect(pings.fromClient(request.subarray(0, 6))).toBe(false);
    expect(pings.answered()).toEqual({ toClient: pong("5") });
    expect(pings.fromClient(request.subarray(6))).toBe(false);
    expect(pings.fromClient(ping)).toBe(false);
  });

  test("without an answer of the platform there is none to the client", () => {
    const pings = rested();
    expect(pings.fromClient(ping)).toBe(true);
    expect(pings.fromClient(ping)).toBe(true);
    expect(pings.answered()).toEqual({ toClient: pong("5") });
    expect(pings.answered()).toEqual({ toClient: pong("5") });
    expect(pings.answered()).toEqual({});
  });

  test.each([
    ["a ping in two reads", [ping.subarray(0, 5), ping.subarray(5)]],
    ["a ping behind a request", [Buffer.concat([request, ping])]],
    ["two pings in one read", [Buffer.concat([ping, ping])]],
    ["data that looks like a ping", [hex("00000010 00000001"), ping]],
    ["a length in pieces, then what looks like a ping", [hex("00"), hex("00000c"), ping]],
  ])("%s passes", (_, chunks) => {
    const pings = rested();
    for (const chunk of chunks) expect(pings.fromClient(chunk)).toBe(false);
  });

  test.each([
    ["in data that looks like it", [hex("00000018 00000001"), pong("5")]],
    ["cut in two", [pong("5").subarray(0, 8), pong("5").subarray(8)]],
    ["together with an event", [Buffer.concat([pong("5"), reply])]],
  ])("no answer is learnt %s", (_, chunks) => {
    const pings = new Pings();
    pings.fromClient(ping);
    for (const chunk of chunks) pings.fromMember([chunk]);
    expect(pings.fromClient(ping)).toBe(false);
  });
});
