/**
 * Feature flags: a page, and a stream of the flags for it.
 *
 * `flagsApp` is a web-standard handler: `fetch` of a Worker as it stands, with the client connected through a
 * service binding, or behind Node's HTTP server as in `main.ts`. One client serves all browsers, and none of
 * them sees the ensemble or its token.
 *
 * @module
 */

import type { Client, LiveConfig } from "edgekeeper/client";

export type Flags = Readonly<Record<string, boolean>>;

/** Streams that have not been closed, at most: a browser holds one. */
const streamsMax = 1_000;

export function flagsApp(zk: Client, path: string, page: string) {
  const flags: LiveConfig<Flags> = zk.config<Flags>(path, { initial: {} });
  let streams = 0;

  function stream(request: Request): Response {
    if (streams >= streamsMax) return new Response("too many listeners", { status: 503 });
    streams += 1;
    const encoder = new TextEncoder();
    let stop: () => void = () => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const send = (value: Flags) =>
          controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`));
        const forget = flags.subscribe(send);
        stop = () => {
          stop = () => undefined;
          forget();
          streams -= 1;
        };
        send(flags.get());
      },
      cancel: () => stop(),
    });
    request.signal.addEventListener("abort", () => stop());
    return new Response(body, {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
    });
  }

  return {
    flags,
    async fetch(request: Request): Promise<Response> {
      const { pathname } = new URL(request.url);
      await flags.ready;
      if (pathname === "/flags") return stream(request);
      if (pathname !== "/") return new Response("not found", { status: 404 });
      return new Response(page, { headers: { "Content-Type": "text/html; charset=utf-8" } });
    },
  };
}
