/**
 * Names of certificates, as Java prints them.
 *
 * @module
 */

import { expect, test } from "vitest";
import { distinguishedName, type Subject } from "../../src/gateway/distinguished-name.ts";

test.each<[string, Subject, string | undefined]>([
  ["most specific first", { C: "DE", O: "Example", CN: "alice" }, "CN=alice,O=Example,C=DE"],
  ["an attribute given twice", { DC: ["com", "example"], CN: "a" }, "CN=a,DC=example,DC=com"],
  ["special characters", { O: 'a, "b" + <c>;d\\e', CN: "a" }, String.raw`CN=a,O=a\, \"b\" \+ \<c\>\;d\\e`],
  ["spaces and a number sign at the edges", { CN: " a #b " }, String.raw`CN=\ a #b\ `],
  ["a number sign in front", { CN: "#b" }, String.raw`CN=\#b`],
  ["what would be another attribute", { CN: "mallory,CN=root" }, String.raw`CN=mallory\,CN=root`],
  ["a line end", { CN: "mallory\nCN=root" }, "CN=mallory\nCN=root"],
  ["an e-mail address", { CN: "a", emailAddress: "a@b" }, "1.2.840.113549.1.9.1=#1603614062,CN=a"],
  ["an attribute Java has no name for", { CN: "a", serialNumber: "1" }, undefined],
  ["an e-mail address too long to spell", { emailAddress: "a".repeat(128) }, undefined],
  ["nothing", {}, undefined],
])("with %s", (_name, subject, name) => {
  expect(distinguishedName(subject)).toBe(name);
});
