/**
 * Who may use the Worker, and as whom.
 *
 * A deployment without credentials serves nobody. With `EK_TOKEN`, a client presents it as
 * `Authorization: Bearer <token>` or, where a browser's WebSocket cannot send headers, as the subprotocol
 * `bearer.<base64url of the token>` beside `zookeeper`. With `EK_OPEN_ON_LOOPBACK` and no token, requests
 * to a loopback host need none; `Host`, `Origin` and `Sec-Fetch-Site` are checked, so that neither a web page
 * nor a name rebound to 127.0.0.1 can use the visitor's browser as its client.
 *
 * Invariant: no token is accepted in, or copied into, a URL, a log, an answer or a call to a member.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import type { AuthId, Settings } from "../base/index.ts";
import type { AppEnv } from "./env.ts";
import { badRequest, Problem } from "./problems.ts";

/** Who makes the request. */
export interface Caller {
  readonly identities: readonly AuthId[];
  /** The client's address; behind a gateway, the address of the gateway's client. */
  readonly address: string;
  /** Of the gateway's client; 0 for everybody else. */
  readonly port: number;
  /** Distinguished name of a client certificate that the gateway has checked. */
  readonly x509?: string | undefined;
  /** Whether the gateway wants its client to show the token as well. */
  readonly mustShowToken: boolean;
  /** Whether the gateway wants to hear how much of what it sent has been taken up. */
  readonly wantsCredit: boolean;
}

/** Lets only callers in, and says who they are. */
export const requireCaller: MiddlewareHandler<AppEnv> = async (c, next) => {
  c.set("caller", await admit(c.req.raw, c.get("settings")));
  await next();
};

/** @throws {@link Problem} 400, 401, 403 or 503. */
async function admit(request: Request, settings: Settings): Promise<Caller> {
  refuseTokenInUrl(request);
  if (settings.token !== undefined) {
    await checkToken(request, settings.token);
    const address = addressOf(request);
    const identities = [{ scheme: "super", id: "" }, ...ipIdentity(address)];
    const x509 = x509Of(request, settings);
    return { address, x509, identities, ...sayOf(request) };
  }
  if (!settings.openOnLoopback) throw unconfigured();
  checkLoopback(request);
  const address = addressOf(request);
  if (request.headers.has(x509Header)) throw unbelievable("set EK_TOKEN, and give it to the gateway");
  const identities = ipIdentity(address);
  return { address, identities, ...sayOf(request) };
}

function refuseTokenInUrl(request: Request): void {
  const { searchParams } = new URL(request.url);
  for (const name of ["token", "access_token"]) {
    if (!searchParams.has(name)) continue;
    throw badRequest(`Cannot take "${name}" from the URL: URLs are logged, send Authorization: Bearer`);
  }
}

function unconfigured(): Problem {
  return new Problem({
    slug: "not-configured",
    title: "No credential is configured",
    status: 503,
    detail:
      "Cannot serve anybody: set EK_TOKEN (wrangler secret put EK_TOKEN), or EK_OPEN_ON_LOOPBACK for development",
  });
}

async function checkToken(request: Request, token: string): Promise<void> {
  const presented = bearerOf(request);
  if (presented === undefined) throw unauthorized('send "Authorization: Bearer <EK_TOKEN>"', "");
  if (!(await isSameText(presented, token))) {
    throw unauthorized("the bearer token is not EK_TOKEN", ', error="invalid_token"');
  }
}

function unauthorized(reason: string, challenge: string): Problem {
  return new Problem({
    slug: "auth-failed",
    title: "Authentication failed",
    status: 401,
    detail: `Cannot authenticate the request: ${reason}`,
    codeName: "AuthFailed",
    headers: { "WWW-Authenticate": `Bearer realm="edgekeeper"${challenge}` },
  });
}

function bearerOf(request: Request): string | undefined {
  const header = request.headers.get("Authorization");
  if (header !== null) return /^Bearer +([^ ]+) *$/i.exec(header)?.[1];
  if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") return undefined;
  const entry = subprotocolsOf(request).find((protocol) => protocol.startsWith("bearer."));
  return entry === undefined ? undefined : decodeBase64Url(entry.slice("bearer.".length));
}

/** The WebSocket subprotocols a client offers, in its order. */
export function subprotocolsOf(request: Request): readonly string[] {
  const header = request.headers.get("Sec-WebSocket-Protocol") ?? "";
  return header.split(",").map((protocol) => protocol.trim());
}

function decodeBase64Url(text: string): string | undefined {
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
}

/** Takes the same time wherever the texts differ: their hashes are compared, and to the end. */
async function isSameText(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([sha256(a), sha256(b)]);
  let difference = 0;
  for (const [index, byte] of left.entries()) difference |= byte ^ (right[index] ?? 0);
  return difference === 0;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

const loopbackHosts: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

function checkLoopback(request: Request): void {
  const origin = request.headers.get("Origin");
  if (!loopbackHosts.has(new URL(request.url).hostname)) {
    throw forbidden("without EK_TOKEN only 127.0.0.1, localhost and [::1] are served");
  }
  if (origin !== null && !isLoopbackOrigin(origin)) {
    throw forbidden("without EK_TOKEN only web pages from loopback are served");
  }
  // An image, a frame or a link of a page comes without an Origin. Beside one it says less: to a browser
  // localhost and 127.0.0.1 are two sites.
  if (origin === null && request.headers.get("Sec-Fetch-Site") === "cross-site") {
    throw forbidden("without EK_TOKEN what a page from elsewhere links to or embeds is not served");
  }
}

/** `Origin: null`, which sandboxed pages send, is not loopback. */
function isLoopbackOrigin(origin: string): boolean {
  const url = URL.parse(origin);
  return url !== null && loopbackHosts.has(url.hostname);
}

function forbidden(reason: string): Problem {
  return new Problem({
    slug: "no-auth",
    title: "Not allowed",
    status: 403,
    detail: `Cannot serve the request: ${reason}`,
    codeName: "NoAuth",
  });
}

/** Near enough: what passes is short, and names nobody by another scheme. */
const addressPattern = /^[0-9a-fA-F.:]{2,45}$/;

/**
 * The client's address. `Ek-Gateway-Address` is believed because only admitted callers get here: either
 * they hold the token, or they are on this machine.
 */
function addressOf(request: Request): string {
  const told = request.headers.get("Ek-Gateway-Address")?.replace(/^::ffff:(?=[0-9.]+$)/, "");
  if (told === undefined) {
    const seen = request.headers.get("CF-Connecting-IP");
    return seen !== null && addressPattern.test(seen) ? seen : unknownAddressOf(request);
  }
  if (!addressPattern.test(told)) throw badRequest("Cannot read Ek-Gateway-Address: it is no IP address");
  return told;
}

const x509Header = "Ek-Gateway-X509";

/** UTF-16 units of a distinguished name: with the other identities it must fit an attachment. */
const x509UnitsMax = 512;

/** Only who holds the token may say whose certificate it has seen. */
function x509Of(request: Request, settings: Settings): string | undefined {
  const told = request.headers.get(x509Header);
  if (told === null) return undefined;
  if (!settings.x509) throw unbelievable("EK_X509 is off");
  const name = percentDecoded(told);
  if (name === undefined || name.length > x509UnitsMax) {
    throw badRequest(`Cannot read ${x509Header}: it is no name of at most ${x509UnitsMax} characters`);
  }
  return name;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function unbelievable(reason: string): Problem {
  return forbidden(`no certificate is believed, ${reason}`);
}

/** What anybody may say, since it gives its sender nothing. */
function sayOf(request: Request): Pick<Caller, "port" | "mustShowToken" | "wantsCredit"> {
  const says = (name: string) => request.headers.get(name) === "yes";
  return {
    port: portOf(request),
    mustShowToken: says("Ek-Gateway-Wants-Token"),
    wantsCredit: says("Ek-Gateway-Wants-Credit"),
  };
}

/** For people's eyes only: it decides nothing. */
function portOf(request: Request): number {
  const told = Number(request.headers.get("Ek-Gateway-Port") ?? "0");
  return Number.isInteger(told) && told >= 0 && told <= 65_535 ? told : 0;
}

/** Never a loopback address for somebody who may be elsewhere: an ACL may name it. */
function unknownAddressOf(request: Request): string {
  return loopbackHosts.has(new URL(request.url).hostname) ? "127.0.0.1" : "0.0.0.0";
}

function ipIdentity(address: string): readonly AuthId[] {
  return [{ scheme: "ip", id: address }];
}
