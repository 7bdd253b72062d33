/**
 * Writes the OpenAPI document that the Worker serves, or with `--check` fails when it is not up to date.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildDocument } from "./openapi/document.ts";

const file = join(import.meta.dirname, "..", "src", "worker", "openapi.json");
const text = `${JSON.stringify(buildDocument(), null, 1)}\n`;

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("src/worker/openapi.json is not what scripts/openapi makes: npm run openapi writes it anew");
  process.exit(1);
}
