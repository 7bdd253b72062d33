/**
 * What the rooms on Workers use of the modules that `nodejs_compat` brings. Only what is declared here:
 * the whole of Node's types would also show them files and processes, which are not there.
 *
 * @module
 */

/** Synchronous, unlike `crypto.subtle`: a connection's opening is decided in one turn. */
declare module "node:crypto" {
  interface Hmac {
    update(data: string | Uint8Array): Hmac;
    digest(): Uint8Array;
  }
  function createHmac(algorithm: "sha256" | "sha1", key: string | Uint8Array): Hmac;

  interface Hash {
    update(data: string | Uint8Array): Hash;
    digest(): Uint8Array;
    digest(encoding: "base64" | "hex"): string;
  }
  function createHash(algorithm: "sha1" | "sha256"): Hash;

  function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;
}
