/**
 * Four-letter words at the gateway: which are answered, and by whom.
 *
 * `ruok` asks about the server that was asked, so the gateway answers for itself and wakes nobody. The
 * others are about the ensemble: the Worker formats what a member reports. An ensemble that cannot be
 * reached answers as a ZooKeeper that does not serve.
 *
 * Source: ZooKeeper `FourLetterCommands`, `NopCommand`, `AbstractFourLetterCommand.run`.
 *
 * @module
 */

const names: ReadonlySet<string> = new Set([
  ..."conf cons crst dirs dump envi gtmk hash isro".split(" "),
  ..."mntr ruok srst srvr stat stmk wchc wchp wchs".split(" "),
]);

/** Words that show no path, no session and no client. */
export const discreetWords: readonly string[] = ["ruok", "isro", "srvr"];

/** Bytes behind `stmk`: the mask, 64 bits. */
const maskBytes = 8;
const wordBytes = 4;

/** Words being answered at once, of all clients; those past it are dropped, since each may wake a member. */
export const wordsInFlightMax = 32;

/** How long the Worker may take over one, an election in between included. */
const answerTimeoutMs = 10_000;

const notServing = "This ZooKeeper instance is not currently serving requests\n";

/** Whether a connection's first bytes are a word. Read as a length, any of them is far too long. */
export function isWord(head: Uint8Array): boolean {
  return head.length >= wordBytes && names.has(textOf(head));
}

/** Bytes of a word and what belongs to it. */
export function wordLength(head: Uint8Array): number {
  return textOf(head) === "stmk" ? wordBytes + maskBytes : wordBytes;
}

function textOf(head: Uint8Array): string {
  return String.fromCharCode(...head.subarray(0, wordBytes));
}

export interface WordDeskOptions {
  /** The ensemble's: `https://host/v1/main`. */
  readonly url: URL;
  /** The server asked; `undefined`: the leader, or whoever answers. */
  readonly member: string | undefined;
  readonly token: string | undefined;
  readonly allowed: "*" | readonly string[];
  /** What this gateway listens on; -1: it does not. */
  ports(): { readonly plain: number; readonly secure: number };
}

export class WordDesk {
  readonly #options: WordDeskOptions;
  #inFlight = 0;

  constructor(options: WordDeskOptions) {
    this.#options = options;
  }

  /**
   * The answer, whole; `undefined`: drop the client, too many are asking.
   *
   * @param head - A whole word, with what belongs to it.
   */
  async answer(head: Uint8Array): Promise<string | undefined> {
    const word = textOf(head);
    const { allowed } = this.#options;
    if (allowed !== "*" && !allowed.includes(word)) {
      return `${word} is not executed because it is not in the whitelist.\n`;
    }
    if (word === "ruok") return "imok";
    if (this.#inFlight >= wordsInFlightMax) return undefined;
    this.#inFlight += 1;
    try {
      return (await this.#ask(word, head)) ?? (word === "isro" ? "null" : notServing);
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #ask(word: string, head: Uint8Array): Promise<string | undefined> {
    const { url, member, token, ports } = this.#options;
    const target = new URL(`${url.pathname}/admin/words/${word}`, url);
    if (member !== undefined) target.searchParams.set("member", member);
    target.searchParams.set("clientPort", String(ports().plain));
    target.searchParams.set("secureClientPort", String(ports().secure));
    if (word === "stmk") target.searchParams.set("traceMask", String(maskIn(head)));
    try {
      const response = await fetch(target, {
        ...(token !== undefined && { headers: { Authorization: `Bearer ${token}` } }),
        signal: AbortSignal.timeout(answerTimeoutMs),
      });
      const text = await response.text();
      return response.ok ? text : undefined;
    } catch {
      // Unreachable, or too slow: which of them is in the log of the Worker.
      return undefined;
    }
  }
}

function maskIn(head: Uint8Array): bigint {
  return new DataView(head.buffer, head.byteOffset).getBigInt64(wordBytes);
}
