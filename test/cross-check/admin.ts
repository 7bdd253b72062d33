/**
 * A super user beside the script: empties the tree between scripts, and brings two servers level after
 * they have differed.
 *
 * @module
 */

import { OPEN_ACL, OpCode, type ResponseBody, type Stat, ZkErrorCode } from "../../src/base/index.ts";
import {
  decodeReplyBody,
  decodeReplyHeader,
  encodeConnectRequest,
  encodeRequest,
  JuteWriter,
} from "../../src/jute/index.ts";
import type { ScriptRequest } from "./script.ts";
import { Wire } from "./wire.ts";

export const superPassword = "super:secret";
/** Of {@link superPassword}, as ZooKeeper's `DigestAuthenticationProvider` prints it. */
export const superDigest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

const patienceMs = 60_000;

/** What cannot be deleted. */
const fixedPaths = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] as const;

/** The server's own: its data is left alone. */
export const configPath = "/zookeeper/config";

const readOnlyAcl = [{ scheme: "world", id: "anyone", perms: 1 }];

export class Admin {
  readonly #wire: Wire;
  #xid = 0;
  /** Of the last answer. */
  zxid = 0n;

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  static async open(port: number): Promise<Admin> {
    const wire = new Wire(port);
    const writer = new JuteWriter();
    encodeConnectRequest(writer, {
      protocolVersion: 0,
      lastZxidSeen: 0n,
      timeoutMs: 40_000,
      sessionId: 0n,
      password: null,
      readOnly: false,
    });
    wire.send(writer.take());
    const answer = await wire.next(patienceMs);
    if (answer.kind !== "frame") throw new Error(`no session for the super user: ${answer.kind}`);
    const admin = new Admin(wire);
    await admin.must({ type: OpCode.Auth, scheme: "digest", auth: Buffer.from(superPassword) });
    return admin;
  }

  close(): void {
    this.#wire.cut();
  }

  async newestZxid(): Promise<bigint> {
    await this.must({ type: OpCode.Sync, path: "/" });
    return this.zxid;
  }

  /** Leaves nothing but what a fresh server has, and open ACLs. */
  async reset(): Promise<void> {
    for (const path of fixedPaths) {
      await this.must(restoreAcl(path));
      if (path !== configPath) await this.must(restoreData(path));
    }
    for (const path of fixedPaths) await this.#empty(path);
  }

  async stat(path: string): Promise<Stat> {
    const body = await this.must({ type: OpCode.Exists, path, watch: false });
    if (body?.kind !== "stat") throw new Error(`no stat of ${path}`);
    return body.stat;
  }

  async must(request: ScriptRequest): Promise<ResponseBody | undefined> {
    const { err, body } = await this.#ask(request);
    if (err !== ZkErrorCode.Ok) throw new Error(`the super user's ${request.type} failed: ${err}`);
    return body;
  }

  async #empty(path: string): Promise<void> {
    const { err, body } = await this.#ask({ type: OpCode.GetChildren, path, watch: false });
    if (err !== ZkErrorCode.Ok || body?.kind !== "children") return;
    for (const name of body.children) {
      const child = `${path === "/" ? "" : path}/${name}`;
      await this.#empty(child);
      if (fixedPaths.some((fixed) => fixed === child)) continue;
      await this.#ask({ type: OpCode.Delete, path: child, version: -1 });
    }
  }

  async #ask(request: ScriptRequest): Promise<{ err: number; body: ResponseBody | undefined }> {
    this.#xid += 1;
    const writer = new JuteWriter();
    encodeRequest(writer, this.#xid, request);
    this.#wire.send(writer.take());
    const answer = await this.#wire.next(patienceMs);
    if (answer.kind !== "frame") throw new Error(`no answer for the super user: ${answer.kind}`);
    const header = decodeReplyHeader(answer.bytes);
    if (header?.xid !== this.#xid) throw new Error("an answer to something else for the super user");
    if (header.zxid > 0n) this.zxid = header.zxid;
    if (header.err !== 0) return { err: header.err, body: undefined };
    const decoded = decodeReplyBody(request.type, answer.bytes);
    if (!decoded.ok) throw new Error(`an unreadable answer for the super user: ${request.type}`);
    return { err: 0, body: decoded.body };
  }
}

/**
 * Makes the counters of what cannot be deleted equal, in as many writes on both sides as that takes.
 * After this, two servers that behave alike answer alike again.
 */
export async function level(admins: readonly Admin[]): Promise<void> {
  for (const path of fixedPaths) {
    if (path !== configPath) await levelBy(admins, path, (stat) => stat.version, restoreData(path));
    await levelBy(admins, path, (stat) => stat.aversion, restoreAcl(path));
    await levelBy(admins, path, (stat) => (stat.cversion + stat.numChildren) / 2, undefined);
  }
}

/** `write` undefined: creates a child and deletes it. */
async function levelBy(
  admins: readonly Admin[],
  path: string,
  counter: (stat: Stat) => number,
  write: ScriptRequest | undefined,
): Promise<void> {
  const counts = await Promise.all(admins.map(async (admin) => counter(await admin.stat(path))));
  const goal = Math.max(...counts);
  for (const [index, admin] of admins.entries()) {
    for (let count = counts[index] ?? goal; count < goal; count++) {
      if (write === undefined) await createAndDelete(admin, `${path === "/" ? "" : path}/level`);
      else await admin.must(write);
    }
  }
}

function restoreAcl(path: string): ScriptRequest {
  const acl = path === configPath ? readOnlyAcl : OPEN_ACL;
  return { type: OpCode.SetAcl, path, acl, version: -1 };
}

function restoreData(path: string): ScriptRequest {
  return { type: OpCode.SetData, path, data: new Uint8Array(0), version: -1 };
}

async function createAndDelete(admin: Admin, path: string): Promise<void> {
  await admin.must({ type: OpCode.Create, path, data: null, acl: OPEN_ACL, flags: 0, ttlMs: -1 });
  await admin.must({ type: OpCode.Delete, path, version: -1 });
}
