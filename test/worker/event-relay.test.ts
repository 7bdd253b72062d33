/**
 * Proves how a member's messages become server-sent events, and that a client's pace is the member's.
 *
 * @module
 */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EventRelay, eventsOf } from "../../src/worker/event-relay.ts";
import { heartbeatMs } from "../../src/worker/limits.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

class Link {
  readonly sent: string[] = [];
  closed: string | undefined;
  readonly relay = new EventRelay({
    send: (text) => this.sent.push(text),
    close: (_, reason) => {
      this.closed ??= reason;
    },
  });
  readonly reader = this.relay.body.getReader();

  /** What the client gets with its next read. */
  async read(): Promise<string | undefined> {
    const { value } = await this.reader.read();
    return value === undefined ? undefined : new TextDecoder().decode(value);
  }

  change(seq: number): void {
    const zxid = `0x${seq.toString(16)}`;
    this.relay.take(
      JSON.stringify({ type: "events", id: "0", seq, zxid, events: [{ zxid, kind: "changed" }] }),
    );
  }
}

describe("eventsOf()", () => {
  test("gives the id of a txn to the last of its events only", () => {
    const events = [
      { zxid: "0x1", kind: "created", path: "/a" },
      { zxid: "0x2", kind: "changed", path: "/a" },
      { zxid: "0x2", kind: "deleted", path: "/a" },
    ];
    expect(eventsOf({ type: "events", id: "0", seq: 1, zxid: "0x2", events })).toBe(
      'event: created\nid: 0x1\ndata: {"zxid":"0x1","kind":"created","path":"/a"}\n\n' +
        'event: changed\ndata: {"zxid":"0x2","kind":"changed","path":"/a"}\n\n' +
        'event: deleted\nid: 0x2\ndata: {"zxid":"0x2","kind":"deleted","path":"/a"}\n\n',
    );
  });

  test("lets nobody resume behind a notice that something was left out", () => {
    const coalesced = {
      type: "coalesced",
      id: "0",
      seq: 1,
      events: 9,
      kept: 2,
      after: "0x1",
      through: "0x9",
    };
    const text = eventsOf(coalesced);
    expect(text).toBe('event: coalesced\ndata: {"events":9,"kept":2,"after":"0x1","through":"0x9"}\n\n');
  });

  test.each(["subscribed", "compacted", "progress"])("%s says from where to resume", (type) => {
    const text = eventsOf({ type, id: "0", seq: 1, zxid: "0x7" });
    expect(text).toBe(`event: ${type}\nid: 0x7\ndata: {"zxid":"0x7"}\n\n`);
  });

  test.each(["welcome", "paused", "unsubscribed", "something later"])("%s is not for the client", (type) => {
    expect(eventsOf({ type })).toBe("");
  });

  test("what is in a value cannot end a line", () => {
    const events = [{ zxid: "0x1", kind: "changed", value: "a\n\nid: 0x9\r\u2028" }];
    const text = eventsOf({ type: "events", zxid: "0x1", events });
    expect(text.split(/\r\n|\r|\n/)).toHaveLength(5);
  });
});

describe("EventRelay", () => {
  test("acknowledges what the client has taken, and no more", async () => {
    const link = new Link();
    expect(await link.read()).toBe("retry: 1000\n\n");
    for (let seq = 1; seq <= 40; seq++) link.change(seq);
    expect(link.sent).toEqual([]);
    expect((await link.read())?.match(/^id:/gm)).toHaveLength(40);
    expect(link.sent).toEqual([]);
    // Only asking for more shows that it was taken.
    const next = link.read();
    await vi.advanceTimersByTimeAsync(0);
    expect(link.sent).toEqual(['{"type":"ack","seq":40}']);
    link.change(41);
    expect(await next).toContain("id: 0x29\n");
  });

  test("acknowledges few messages that are large", async () => {
    const link = new Link();
    await link.read();
    const events = [{ zxid: "0x1", kind: "changed", value: "x".repeat(128 * 1024) }];
    link.relay.take(JSON.stringify({ type: "events", id: "0", seq: 1, zxid: "0x1", events }));
    await link.read();
    void link.read();
    await vi.advanceTimersByTimeAsync(0);
    expect(link.sent).toEqual(['{"type":"ack","seq":1}']);
  });

  test("tells the client how a stream ended, and ends", async () => {
    const link = new Link();
    link.change(1);
    link.relay.end("no longer in touch with a leader");
    link.relay.end("twice");
    expect(await link.read()).toMatch(
      /id: 0x1\n.*\n\nevent: ended\ndata: {"reason":"no longer in touch with a leader"}\n\n$/s,
    );
    expect(await link.read()).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("beats while nothing happens, and gives up a member whose platform does not answer", async () => {
    const link = new Link();
    await link.read();
    const first = link.read();
    await vi.advanceTimersByTimeAsync(heartbeatMs);
    expect(await first).toBe(": heartbeat\n\n");
    expect(link.sent).toEqual(["ping"]);
    link.relay.take("pong");
    const second = link.read();
    await vi.advanceTimersByTimeAsync(heartbeatMs);
    expect(await second).toBe(": heartbeat\n\n");
    expect(link.closed).toBeUndefined();
    const third = link.read();
    await vi.advanceTimersByTimeAsync(heartbeatMs);
    expect(await third).toContain('event: ended\ndata: {"reason":"the member does not answer"}');
    expect(link.closed).toBe("no pong");
  });

  test("lets go of the member when the client goes", async () => {
    const link = new Link();
    await link.read();
    await link.reader.cancel();
    expect(link.closed).toBe("the client has gone");
    expect(vi.getTimerCount()).toBe(0);
    link.change(1);
  });
});
