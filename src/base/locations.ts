/**
 * Where the platform can be asked to make an object: its location hints.
 *
 * A hint is taken on the first call to an object and is best effort. The platform takes any string without a
 * word, so what is none is refused here.
 *
 * Source: https://developers.cloudflare.com/durable-objects/reference/data-location/ (2026-11).
 *
 * @module
 */

export const locationHints = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

export type LocationHint = (typeof locationHints)[number];

export function isLocationHint(value: unknown): value is LocationHint {
  return locationHints.some((hint) => hint === value);
}
