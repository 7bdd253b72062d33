/**
 * The name in a client certificate, as ACLs of scheme `x509` spell it: Java's
 * `X500Principal.getName()`, so that ACLs written under ZooKeeper go on to hold.
 *
 * Most specific first, joined by commas, special characters escaped. Java knows nine attributes by name;
 * others stand there as their number and the bytes of their value, of which we can spell the e-mail address.
 * A certificate with an attribute that cannot be spelled has no name, and gets no identity.
 *
 * Sources: RFC 2253; Java `X500Principal.RFC2253`; ZooKeeper `X509AuthenticationProvider.getClientId`.
 *
 * @module
 */

/** As Node's `getPeerCertificate().subject` has it, in the certificate's order. */
export type Subject = Readonly<Record<string, string | readonly string[] | undefined>>;

const namedAttributes: ReadonlySet<string> = new Set("CN C L ST O OU STREET DC UID".split(" "));

const ia5StringTag = 0x16;

/** `undefined`: it has none that can be spelled. */
export function distinguishedName(subject: Subject): string | undefined {
  const parts: string[] = [];
  for (const [attribute, given] of Object.entries(subject)) {
    for (const value of typeof given === "string" ? [given] : (given ?? [])) {
      const part = spell(attribute, value);
      if (part === undefined) return undefined;
      parts.push(part);
    }
  }
  return parts.length === 0 ? undefined : parts.reverse().join(",");
}

function spell(attribute: string, value: string): string | undefined {
  if (namedAttributes.has(attribute)) return `${attribute}=${escaped(value)}`;
  const bytes = Buffer.from(value, "latin1");
  if (attribute !== "emailAddress" || bytes.length > 127) return undefined;
  return `1.2.840.113549.1.9.1=#${Buffer.of(ia5StringTag, bytes.length).toString("hex")}${bytes.toString("hex")}`;
}

function escaped(value: string): string {
  return value
    .replace(/[,+"\\<>;]/g, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/ $/, "\\ ");
}
