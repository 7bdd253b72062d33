/**
 * Events of a znode or a subtree, as a loop that survives reconnections and sessions.
 *
 * @module
 */

import { AddWatchMode, OpCode, type WatchedEvent, WatcherType, ZkErrorCode } from "../base/index.ts";
import type { Chroot } from "./chroot.ts";
import { badArguments } from "./errors.ts";
import { EventStream } from "./event-stream.ts";
import { explain } from "./refusals.ts";
import type { Session } from "./session.ts";
import type { StreamListener, Watches } from "./watches.ts";
import { type ZnodeEvent, znodeEvent } from "./znode.ts";

export interface WatchOptions {
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Also everything below the path. */
  readonly subtree?: boolean | undefined;
  /** Events kept for a slow consumer, 1 or more; then one `missed` takes their place. Default: 1,000. */
  readonly buffer?: number | undefined;
}

/**
 * `missed`: events may have been lost, because the connection was, or because the consumer was too slow.
 * Read anew what matters.
 */
export type WatchEvent = ZnodeEvent | { readonly kind: "missed"; readonly path: string };

const bufferDefault = 1_000;

export interface WatchHost {
  readonly chroot: Chroot;
  readonly watches: Watches;
  readonly session: Session;
}

/** A watch at work, from the moment it was asked for: what happens before the loop begins is kept for it. */
export interface WatchStream
  extends Pick<EventStream<WatchEvent>, "next" | "return" | typeof Symbol.asyncIterator> {
  /** Resolves when the server watches: what happens from then on will be told. */
  readonly ready: Promise<void>;
}

/** @throws {@link ZkError} `BadArguments`, at once. What the server refuses, the loop throws. */
export function watchEvents(host: WatchHost, path: string, options: WatchOptions): WatchStream {
  const { subtree = false, buffer = bufferDefault, signal } = options;
  if (!Number.isInteger(buffer) || buffer < 1) {
    throw badArguments(`Cannot watch "${path}": \`buffer\` is not 1 or more`, path);
  }
  const { chroot, watches } = host;
  const serverPath = chroot.toServer(path, "watch");
  const mode = subtree ? AddWatchMode.PersistentRecursive : AddWatchMode.Persistent;
  const missed: WatchEvent = { kind: "missed", path };
  const listener = {
    event: (event: WatchedEvent) => {
      const { kind, path: eventPath } = znodeEvent(event);
      stream.push({ kind, path: chroot.toClient(eventPath) });
    },
    missed: () => stream.push(missed),
  };
  const onEnd = () => unwatch(host, mode, serverPath, listener);
  const stream = new EventStream<WatchEvent>({ bufferMax: buffer, missed, signal, onEnd });
  if (signal?.aborted === true) return Object.assign(stream, { ready: Promise.resolve() });
  watches.addStream(mode, serverPath, listener);
  const request = { type: OpCode.AddWatch, path: serverPath, mode } as const;
  const ready = host.session.submit(request, { path, signal }).then(({ err }) => {
    if (err !== ZkErrorCode.Ok) throw explain(err, "watch", path);
  });
  // An aborted stream has ended by itself. Whoever does not wait for `ready` hears of it from the loop.
  ready.catch((error: unknown) => stream.fail(error));
  return Object.assign(stream, { ready });
}

/** The last to listen tells the server. */
function unwatch(
  { watches, session }: WatchHost,
  mode: AddWatchMode,
  path: string,
  listener: StreamListener,
): void {
  if (!watches.removeStream(mode, path, listener) || session.state.kind === "closed") return;
  const isRecursive = mode === AddWatchMode.PersistentRecursive;
  const watcherType = isRecursive ? WatcherType.PersistentRecursive : WatcherType.Persistent;
  // A connection that is lost now takes the watch with it, and nobody registers it again.
  session.submit({ type: OpCode.RemoveWatches, path, watcherType }).catch(() => undefined);
}
