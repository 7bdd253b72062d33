/**
 * Paths as the caller names them and as the server does: checked, and with the chroot in front.
 *
 * Source: ZooKeeper `PathUtils`, `ZooKeeper.prependChroot`.
 *
 * @module
 */

import { pathFault } from "../base/index.ts";
import { badArguments } from "./errors.ts";

export class Chroot {
  /** Without a slash at the end; empty for none. */
  readonly #prefix: string;

  /** @throws {@link ZkError} `BadArguments` for a path that no znode can have. */
  constructor(path: string) {
    const fault = pathFault(path);
    if (fault !== undefined) throw badArguments(`Cannot use chroot "${path}": ${fault}`);
    this.#prefix = path === "/" ? "" : path;
  }

  /**
   * @param action - For the message: `Cannot <action> "<path>": ...`.
   * @param isSequential - The server appends digits, so the path may end with a slash.
   * @throws {@link ZkError} `BadArguments` for a path that no znode can have.
   */
  toServer(path: string, action: string, isSequential = false): string {
    const fault = pathFault(isSequential ? `${path}1` : path);
    if (fault !== undefined) throw badArguments(`Cannot ${action} "${path}": ${fault}`, path);
    return path === "/" && this.#prefix !== "" ? this.#prefix : `${this.#prefix}${path}`;
  }

  toClient(path: string): string {
    if (this.#prefix === "" || !path.startsWith(this.#prefix)) return path;
    return path.length === this.#prefix.length ? "/" : path.slice(this.#prefix.length);
  }
}
