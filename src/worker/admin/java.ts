/**
 * Text as Java prints it: tools parse it, so its habits are part of the format.
 *
 * Sources: ZooKeeper `AvgMinMaxCounter.getAvg`, `JsonOutputter`; Java `Double.toString`, `Date.toString`,
 * `InetSocketAddress.toString`; Jackson's default pretty printer.
 *
 * @module
 */

import type { LatencyFigures } from "../../objects/index.ts";

/** What JSON is made of here: 64 bits do not fit a number. */
export type JavaJson =
  | string
  | number
  | bigint
  | boolean
  | null
  | JavaDouble
  | readonly JavaJson[]
  | { readonly [key: string]: JavaJson };

/** A number that Java holds as a `double` and so never prints without a point. */
export class JavaDouble {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toString(): string {
    return Number.isInteger(this.value) ? `${this.value}.0` : String(this.value);
  }
}

/** To four digits. */
export function averageOf({ sum, count }: Pick<LatencyFigures, "sum" | "count">): JavaDouble {
  return new JavaDouble(count === 0 ? 0 : Math.round((sum / count) * 10_000) / 10_000);
}

/** `Mon Nov 23 16:59:26 UTC 2026`. */
export function javaDate(ms: number): string {
  const [weekday = "", day = "", month = "", year = "", time = ""] = new Date(ms).toUTCString().split(" ");
  return `${weekday.replace(",", "")} ${month} ${day} ${time} UTC ${year}`;
}

/** `/127.0.0.1:48938`; IPv6 in brackets. */
export function javaSocketAddress(address: string, port: number): string {
  return `/${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** Indented by two, a space on both sides of colons, lists on one line until an object stands in them. */
export function javaJson(value: JavaJson, indent = ""): string {
  if (value === null || typeof value !== "object") {
    return typeof value === "string" ? JSON.stringify(value) : String(value);
  }
  if (value instanceof JavaDouble) return value.toString();
  if (isList(value)) {
    return value.length === 0 ? "[ ]" : `[ ${value.map((entry) => javaJson(entry, indent)).join(", ")} ]`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return "{ }";
  const inner = `${indent}  `;
  const lines = entries.map(([key, entry]) => `${inner}${JSON.stringify(key)} : ${javaJson(entry, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function isList(value: object): value is readonly JavaJson[] {
  return Array.isArray(value);
}
