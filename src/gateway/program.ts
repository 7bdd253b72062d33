/**
 * What the programs that listen have in common: flags that were read, and what to do about them.
 *
 * @module
 */

/** What arguments and environment ask for. */
export type Parsed<Options> =
  | { readonly kind: "start"; readonly options: Options }
  | { readonly kind: "help"; readonly text: string }
  /** Full sentences. */
  | { readonly kind: "faults"; readonly faults: readonly string[] };

/** The signals that stop a program cleanly. */
export const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Does what was asked for. Bad flags are told on stderr and make exit code 2. */
export async function obey<Options>(
  parsed: Parsed<Options>,
  run: (options: Options) => Promise<void>,
): Promise<void> {
  switch (parsed.kind) {
    case "help":
      process.stdout.write(parsed.text);
      return;
    case "faults":
      for (const fault of parsed.faults) console.error(fault);
      process.exitCode = 2;
      return;
    case "start":
      await run(parsed.options);
      return;
  }
}

/** A port from 0 to 65535; anything else is added to `faults`. */
export function readPort(flag: string, text: string | undefined, faults: string[]): number {
  const port = text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) {
    faults.push(`--${flag} is ${JSON.stringify(text ?? "")}: it must be an integer from 0 to 65535.`);
  }
  return port;
}

/** A host as it stands in a URL. */
export function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
