/**
 * Ports. One is tried before anybody else is asked to listen on it: whoever finds one taken
 * later says so less clearly, or not at all.
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:net";
import { StartRefusal } from "./data-directory.ts";

/**
 * Says which port will be used, after having listened there for a moment.
 *
 * @param port - 0 picks a free one.
 * @throws {@link StartRefusal} when the port is taken, or the host cannot be listened on.
 */
export async function findPort(flag: string, host: string, port: number): Promise<number> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw new StartRefusal(`Cannot listen on ${host} with --${flag} ${port}: ${reasonOf(error)}`);
  }
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
  return address.port;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return "another process listens there, stop it or name another port";
  if (code === "EACCES") return "this user may not listen there";
  return error instanceof Error ? error.message : String(error);
}
