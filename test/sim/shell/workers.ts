/**
 * What `cloudflare:workers` gives a Durable Object, as far as members use it.
 *
 * @module
 */

export class DurableObject {
  protected readonly ctx: unknown;
  protected readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}
