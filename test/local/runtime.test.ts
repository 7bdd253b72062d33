/**
 * The local runtime runs what a deployment would: the same compatibility date and flags, binding and class.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compatibilityDate, compatibilityFlags } from "../../src/local/runtime.ts";

const configuration = readFileSync(join(import.meta.dirname, "..", "..", "wrangler.toml"), "utf8");

test("compatibility date and flags are those of wrangler.toml", () => {
  expect(configuration).toContain(`compatibility_date = "${compatibilityDate}"`);
  expect(configuration).toContain(`compatibility_flags = ${JSON.stringify(compatibilityFlags)}`);
});

test("the members' binding and class are those of wrangler.toml", () => {
  expect(configuration).toContain('name = "MEMBER"\nclass_name = "Member"');
  expect(configuration).toContain('new_sqlite_classes = ["Member"]');
});

test.skipIf(process.platform === "win32")("another Miniflare of the process starts workerd as ever", () => {
  const { EDGEKEEPER_LOCAL_PID_FILE: _, ...env } = process.env;
  const wrapper = join(import.meta.dirname, "..", "..", "src", "local", "workerd.sh");
  const said = execFileSync(wrapper, ["serve", "--binary"], {
    env: { ...env, EDGEKEEPER_LOCAL_WORKERD: "/bin/echo" },
    encoding: "utf8",
  });
  expect(said).toBe("serve --binary\n");
});
