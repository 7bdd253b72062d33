/**
 * A page without a browser: its own script, on as much of a document as it uses.
 *
 * @module
 */

import { runInNewContext } from "node:vm";

interface FakeElement {
  textContent: string;
  children: readonly FakeElement[];
  replaceChildren(...children: readonly FakeElement[]): void;
}

export interface OpenPage extends AsyncDisposable {
  /** Resolves to what the list shows, once it shows that. */
  until(text: string): Promise<string>;
}

export async function openPage(url: string): Promise<OpenPage> {
  const html = await (await fetch(url)).text();
  const script = /<script>(.*)<\/script>/s.exec(html)?.[1];
  if (script === undefined) throw new Error("the page has no script");
  const looks = new Set<() => void>();
  const element = (): FakeElement => ({
    textContent: "",
    children: [],
    replaceChildren(...children) {
      this.children = children;
      for (const look of [...looks]) look();
    },
  });
  const elements = new Map(["state", "flags"].map((id) => [id, element()]));
  const stop = new AbortController();
  let over: Promise<void> = Promise.resolve();

  class Events {
    onopen: () => void = () => undefined;
    onmessage: (event: { readonly data: string }) => void = () => undefined;

    constructor(path: string) {
      over = this.#read(new URL(path, url)).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
    }

    async #read(from: URL): Promise<void> {
      const response = await fetch(from, { signal: stop.signal });
      this.onopen();
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          this.onmessage({ data: text.slice("data: ".length, end) });
          text = text.slice(end + 2);
        }
      }
    }
  }

  const document = { getElementById: (id: string) => elements.get(id), createElement: element };
  runInNewContext(script, { document, EventSource: Events });
  const shown = () =>
    (elements.get("flags")?.children ?? []).map(({ textContent }) => textContent).join(", ");
  return {
    until: (text) =>
      new Promise((resolve) => {
        const look = () => {
          if (shown() !== text) return;
          looks.delete(look);
          resolve(shown());
        };
        looks.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await over;
    },
  };
}
