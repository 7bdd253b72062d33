/**
 * Proves which tokens pass, which are refused, and what a request without a good one is answered. The stores
 * are in memory, or scripted to race; the real ones are in `guard.workerd.test.ts`.
 */

import fc from "fast-check";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import {
  admit,
  D1Fence,
  fenced,
  fenceHeaders,
  honoFence,
  MemoryTokens,
  parseToken,
  R2Fence,
  StaleToken,
  tokenHeader,
  tokenOf,
} from "../../src/guard/index.ts";
import { sortableToken } from "../../src/guard/token.ts";

const greatest = 2n ** 63n - 1n;

describe("tokens", () => {
  test.each([
    ["0x100000007", 0x100000007n],
    ["0x1", 1n],
    ["4294967303", 4294967303n],
    ["0x7fffffffffffffff", greatest],
    [greatest, greatest],
  ])("%s is one", (given, token) => {
    expect(parseToken(given)).toBe(token);
  });

  test.each([
    "",
    "0x",
    "0x0",
    "0",
    "-1",
    "1.5",
    "0X1",
    "0xG",
    " 1",
    "1 ",
    "0x8000000000000000",
    "9".repeat(20),
    0n,
    -1n,
    greatest + 1n,
  ])("%s is none", (given) => {
    expect(parseToken(given)).toBeUndefined();
  });

  test("in stores, text order is number order (property)", () => {
    const token = fc.bigInt({ min: 1n, max: greatest });
    fc.assert(fc.property(token, token, (a, b) => sortableToken(a) < sortableToken(b) === a < b));
  });
});

describe("admission", () => {
  test("the greatest token seen passes again, greater ones pass, lower ones never more", async () => {
    const tokens = new MemoryTokens();
    for (const token of [5n, 5n, "0x6", "7"]) await admit(tokens, "a", token);
    const stale = admit(tokens, "a", 6n);
    await expect(stale).rejects.toBeInstanceOf(StaleToken);
    await expect(stale).rejects.toMatchObject({ resource: "a", token: 6n, highest: 7n });
    await expect(stale).rejects.toThrow('Cannot write to "a" under token 0x6: 0x7 has been seen');
    await admit(tokens, "b", 1n);
  });

  test("what is no token is refused before the store is asked", async () => {
    const store = {
      raise: () => {
        throw new Error("asked");
      },
    };
    await expect(admit(store, "a", "soon")).rejects.toThrow(RangeError);
  });

  test("a store that answers nonsense admits nobody", async () => {
    await expect(admit({ raise: () => "5" }, "a", 5n)).rejects.toThrow("no stored token");
  });

  test("as many resources as may be are remembered, one more is refused, and none is forgotten", () => {
    const tokens = new MemoryTokens({ resourcesMax: 2 });
    tokens.raise("a", sortableToken(1n));
    tokens.raise("b", sortableToken(1n));
    expect(() => tokens.raise("c", sortableToken(1n))).toThrow(RangeError);
    expect(tokens.raise("a", sortableToken(2n))).toBe(sortableToken(2n));
  });
});

describe("requests", () => {
  const withToken = (token: string) =>
    new Request("http://host/jobs/42", { method: "PUT", headers: { [tokenHeader]: token } });

  async function statuses(send: (request: Request) => Promise<Response>): Promise<number[]> {
    const requests = [
      withToken("0x7"),
      withToken("0x6"),
      withToken("8"),
      withToken("x"),
      new Request("http://host/jobs/42", { method: "PUT" }),
      new Request("http://host/open"),
    ];
    const answers: number[] = [];
    for (const request of requests) {
      const response = await send(request);
      answers.push(response.status);
      const type = response.headers.get("Content-Type");
      if (response.status >= 400) expect(type).toBe("application/problem+json");
    }
    return answers;
  }

  const wanted = [200, 412, 200, 400, 428, 200];

  test("a handler behind the fence sees those that pass", async () => {
    const seen: (bigint | undefined)[] = [];
    const handle = (request: Request, env: string) => {
      seen.push(tokenOf(request));
      return new Response(env);
    };
    const resourceOf = ({ url }: Request) => (url.endsWith("/open") ? undefined : "jobs");
    const send = fenced(handle, new MemoryTokens(), resourceOf);
    expect(await statuses((request) => send(request, "env"))).toEqual(wanted);
    expect(seen).toEqual([7n, 8n, undefined]);
  });

  test("so do routes of Hono", async () => {
    const app = new Hono();
    let writes = 0;
    app.use("/jobs/*", honoFence(new MemoryTokens()));
    app.put("/jobs/:id", (c) => c.text(String(++writes)));
    app.get("/open", (c) => c.text("open"));
    expect(await statuses(async (request) => app.fetch(request))).toEqual(wanted);
    expect(writes).toBe(2);
  });

  test("a holder's header comes back as its token", () => {
    for (const token of [4294967303n, "0x100000007"]) {
      const headers = fenceHeaders({ token });
      expect(headers).toEqual({ "Ek-Lock-Token": "0x100000007" });
      expect(tokenOf(new Request("http://host/", { headers }))).toBe(4294967303n);
    }
    expect(() => fenceHeaders({ token: 0n })).toThrow(RangeError);
  });
});

describe("stores that race, and that fail", () => {
  /** A bucket of one object: others put `theirs` right before each of our puts. */
  function bucketOf(theirs: readonly bigint[]) {
    const rivals = [...theirs];
    let object = { etag: "0", customMetadata: {} as Record<string, string> };
    return {
      head: async () => ({ ...object }),
      put: async (
        _key: string,
        value: string,
        {
          onlyIf,
          customMetadata,
        }: { onlyIf: { etagMatches?: string }; customMetadata: Record<string, string> },
      ) => {
        const rival = rivals.shift();
        if (rival !== undefined) {
          const metadata = { "ek-lock-token": sortableToken(rival) };
          object = { etag: `${Number(object.etag) + 1}`, customMetadata: metadata };
        }
        if (onlyIf.etagMatches !== object.etag) return null;
        object = { etag: `${Number(object.etag) + 1}`, customMetadata };
        return value;
      },
    };
  }

  test("R2: who lost a race looks again, and gives way to a greater token", async () => {
    expect(await new R2Fence(bucketOf([3n, 5n])).put("a", "x", 5n)).toBe("x");
    await expect(new R2Fence(bucketOf([3n, 6n])).put("a", "x", 5n)).rejects.toMatchObject({ highest: 6n });
  });

  test("R2: seven lost races are made good, eight are too many", async () => {
    const races = (length: number) => bucketOf(Array.from({ length }, () => 1n));
    expect(await new R2Fence(races(7)).put("a", "x", 5n)).toBe("x");
    await expect(new R2Fence(races(8)).put("a", "x", 5n)).rejects.toThrow("nothing was put");
  });

  test("D1: another failure than the fence's is told as it is", async () => {
    const failing = {
      prepare: () => ({ bind: () => "statement" }),
      batch: async () => {
        throw new Error("D1_ERROR: NOT NULL constraint failed: jobs.state");
      },
    };
    await expect(new D1Fence(failing).batch("a", 1n, [])).rejects.toThrow("jobs.state");
  });
});
