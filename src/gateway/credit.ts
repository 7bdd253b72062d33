/**
 * Credit: how much of what was sent the member has not taken up yet.
 *
 * A member cannot stop a WebSocket. It says in text messages how far it has come, and beyond a window the
 * gateway stops reading its client, as a ZooKeeper server would.
 *
 * The window is wider than the largest frame by more than the step in which members give credit, so there
 * is always a whole frame to take up, and credit to come for it.
 *
 * @module
 */

import { frameBytesMax } from "../jute/index.ts";

/** Sent and not taken up; the read that passes it still goes out. */
export const creditWindowBytes = 1536 * 1024;

/** The largest step of a member, of this version and others. */
const stepBytesMax = 384 * 1024;

if (creditWindowBytes - stepBytesMax <= frameBytesMax + 4) throw new Error("the window has room for a frame");

export class Credit {
  #isGiven = false;
  #owed = 0;

  /** The member will give credit. Others, of an older version, are sent what comes. */
  begin(): void {
    this.#isGiven = true;
  }

  sent(bytes: number): void {
    this.#owed += bytes;
  }

  /** A text message of the member: `credit <bytes>` or `credit anew`. Others are not for us. */
  hear(text: string): void {
    const [word, amount = ""] = text.split(" ");
    if (word !== "credit") return;
    if (amount === "anew") this.#owed = 0;
    else if (/^[0-9]{1,12}$/.test(amount)) this.#owed = Math.max(0, this.#owed - Number(amount));
  }

  /** Whether no more should be sent, with so many bytes waiting to be. */
  isUsedUp(waitingBytes: number): boolean {
    return this.#isGiven && this.#owed + waitingBytes >= creditWindowBytes;
  }
}
