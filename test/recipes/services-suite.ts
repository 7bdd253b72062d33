/**
 * Service discovery over a real ensemble: who is listed, in which state, and what becomes of that when a
 * service, its server or the checker is lost.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, type ConnectOptions, json } from "../../src/client/index.ts";
import {
  checkServices,
  deregisterService,
  observeServices,
  registerService,
  type ServiceInstance,
  serviceNames,
  servicesOf,
} from "../../src/recipes/index.ts";

/** As Curator writes it: every field there, `payload` with its class, `uriSpec` in parts. */
const curators = {
  name: "orders",
  id: "9d1c7d0e-0f6b-4c3a-8d0e-000000000001",
  address: "192.0.2.10",
  port: 8004,
  sslPort: null,
  payload: { "@class": "com.example.Details", zone: "a" },
  registrationTimeUTC: 1_698_197_224_917,
  serviceType: "DYNAMIC",
  uriSpec: { parts: [{ value: "scheme", variable: true }] },
};

const everyState = ["passing", "warning", "critical"] as const;

export function servicesSuite(open: (options?: ConnectOptions) => Client): void {
  const at = () => `/services-${Math.random().toString(36).slice(2)}`;

  describe("service discovery", () => {
    let server: Server;
    let origin = "";
    let status = 200;
    const asked: string[] = [];

    beforeAll(async () => {
      server = createServer((request, response) => {
        asked.push(request.url ?? "");
        if (request.url === "/hang") return;
        if (request.url === "/away") return response.writeHead(302, { Location: "/secret" }).end();
        // It never ends: nobody may wait for it.
        if (request.url === "/endless") return void response.writeHead(200).write("x");
        response.writeHead(status).end("ok");
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => {
      server.closeAllConnections();
      server.close();
    });

    test("lists instances while their sessions live, Curator's among them, and tells of every change", async () => {
      const base = at();
      const zk = open();
      const controller = new AbortController();
      const seen: string[] = [];
      const watching = (async () => {
        for await (const list of observeServices(zk, base, "orders", { signal: controller.signal })) {
          seen.push(list.map(({ address }) => address).join());
          if (seen.at(-1) === "192.0.2.10,192.0.2.12") controller.abort();
        }
      })();
      await zk.createPath(`${base}/orders`);
      await zk.create(`${base}/orders/${curators.id}`, json(curators));
      const doomed = open();
      const first = { name: "orders", id: "a", address: "192.0.2.11", port: 80, payload: { zone: "b" } };
      await registerService(doomed, base, first);
      const [theirs, ours] = await servicesOf(zk, base, "orders");
      expect(theirs).toEqual({
        name: "orders",
        id: curators.id,
        address: "192.0.2.10",
        port: 8004,
        sslPort: null,
        payload: curators.payload,
        registeredAtMs: curators.registrationTimeUTC,
        state: "passing",
        note: "",
      });
      expect(ours).toMatchObject({ ...first, state: "passing" });
      // Curator's reader refuses fields that it does not know.
      const written: object = JSON.parse((await zk.get(`${base}/orders/a`)).text);
      expect(Object.keys(written).sort()).toEqual(Object.keys(curators).sort());
      expect(written).toMatchObject({ serviceType: "DYNAMIC", sslPort: null, uriSpec: null });
      await doomed.close();
      await zk.create(`${base}/orders/broken`, "not JSON");
      await using me = await registerService(zk, base, { name: "orders", id: "b", address: "192.0.2.12" });
      await watching;
      expect(me.id).toBe("b");
      expect(await serviceNames(zk, base)).toEqual(["orders"]);
      await zk.set(`${base}/orders/${curators.id}`, json({ ...curators, enabled: false }));
      expect((await servicesOf(zk, base, "orders")).map(({ id }) => id)).toEqual(["b"]);
      await me.report("warning", "disk nearly full");
      expect(await servicesOf(zk, base, "orders")).toMatchObject([
        { state: "warning", note: "disk nearly full" },
      ]);
      expect(await servicesOf(zk, base, "orders", { states: ["passing"] })).toEqual([]);
      await me.close();
      expect(await servicesOf(zk, base, "orders")).toEqual([]);
      expect(await servicesOf(zk, base, "nothing")).toEqual([]);
      await zk.close();
    });

    test("checks by ttl and by HTTP; a second checker goes on where the first was lost", async () => {
      const base = at();
      const zk = open();
      const doomed = open();
      const signal = new AbortController();
      const options = { allow: [origin], privateAddresses: true, criticalAfter: 2, signal: signal.signal };
      const first = checkServices(doomed, base, { id: "one", ...options });
      const second = checkServices(zk, base, { id: "two", ...options });
      const states = new States(zk, base, "api", signal.signal);
      const common = { name: "api", address: "127.0.0.1", lives: "permanent" } as const;
      const http = (path: string) => ({ url: `${origin}${path}`, interval: "1s", timeout: "500ms" }) as const;
      const quiet = await registerService(zk, base, { ...common, id: "quiet", check: { ttl: "1s" } });
      expect(await servicesOf(zk, base, "api", { states: everyState })).toMatchObject([
        { state: "critical", note: "it has not been checked yet" },
      ]);
      await quiet.report("passing");
      await registerService(zk, base, { ...common, id: "web", check: http("/web") });
      await registerService(zk, base, { ...common, id: "away", check: http("/away") });
      await registerService(zk, base, { ...common, id: "hang", check: http("/hang") });
      await registerService(zk, base, { ...common, id: "endless", check: http("/endless") });
      await registerService(zk, base, { ...common, id: "other", check: { url: "http://127.0.0.2/" } });
      await states.until("web", "passing");
      await states.until("endless", "passing");
      await states.until("away", "critical", "it answered 302");
      await states.until("hang", "critical", "no answer within 500 ms");
      await states.until("other", "critical", "its origin is not allowed");
      await states.until("quiet", "critical", "nothing was heard for 1000 ms");
      await quiet.report("passing");
      await states.until("quiet", "passing");
      await doomed.close();
      status = 503;
      await states.until("web", "warning", "it answered 503");
      await states.until("web", "critical", "it answered 503");
      status = 200;
      await states.until("web", "passing");
      await states.until("quiet", "critical", "nothing was heard for 1000 ms");
      expect(asked).not.toContain("/secret");
      await deregisterService(zk, base, "api", "web");
      await states.until("web", undefined);
      signal.abort();
      await Promise.all([first, second, states.over]);
      await zk.close();
    });

    test("the state that a lost instance leaves behind is swept away, those of others are not", async () => {
      const base = at();
      // The minute between two sweeps passes in a moment.
      const hurried = open({ clock: hurriedClock });
      const controller = new AbortController();
      const zk = open();
      const doomed = open();
      const lost = await registerService(doomed, base, { name: "api", id: "lost", address: "a" });
      await lost.report("warning");
      const there = await registerService(zk, base, { name: "api", id: "there", address: "a" });
      await there.report("warning");
      const checking = checkServices(hurried, base, { id: "c", allow: [], signal: controller.signal });
      await doomed.close();
      for (;;) {
        const { stat, changed } = await zk.exists(`${base}.health/api/lost`, { watch: true });
        if (stat === undefined) break;
        await changed;
      }
      expect(await servicesOf(zk, base, "api")).toMatchObject([{ id: "there", state: "warning" }]);
      controller.abort();
      await checking;
      await Promise.all([zk.close(), hurried.close()]);
    });

    test("refuses names, checks and origins that make no sense", async () => {
      const zk = open();
      const bad = { codeName: "BadArguments" };
      const register = (more: object) => registerService(zk, "/s", { name: "a", address: "a", ...more });
      await expect(register({ name: "a/b" })).rejects.toMatchObject(bad);
      await expect(register({ id: "" })).rejects.toMatchObject(bad);
      await expect(register({ check: { ttl: "soon" } })).rejects.toMatchObject(bad);
      await expect(servicesOf(zk, "/", "a")).rejects.toMatchObject(bad);
      const signal = AbortSignal.abort();
      const check = (more: object) => checkServices(zk, "/s", { id: "c", allow: [], signal, ...more });
      await expect(check({ allow: ["example.com"] })).rejects.toThrow("is no origin");
      await expect(check({ criticalAfter: 0 })).rejects.toMatchObject(bad);
      await check({});
      await zk.close();
    });
  });
}

const hurriedClock = {
  now: () => Date.now(),
  setTimer: (run: () => void, ms: number): unknown => setTimeout(run, ms === 60_000 ? 20 : ms),
  clearTimer: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
  random: () => Math.random(),
};

/** The states of a service's instances, as an observer sees them. */
class States {
  readonly over: Promise<void>;
  #list: readonly ServiceInstance[] = [];
  readonly #watchers = new Set<() => void>();

  constructor(zk: Client, base: string, name: string, signal: AbortSignal) {
    this.over = (async () => {
      for await (const list of observeServices(zk, base, name, { signal, states: everyState })) {
        this.#list = list;
        for (const look of [...this.#watchers]) look();
      }
    })();
  }

  until(id: string, state: string | undefined, note?: string): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.#list.find((each) => each.id === id);
        if (found?.state !== state || (note !== undefined && found?.note !== note)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }
}
