/**
 * Where members may stand, how far apart the places are, and the topologies looked at.
 *
 * Round trips are averages between cloud regions of the same places, as measured for the public list "Latency
 * Between AWS Global Regions" (https://acomputerscientistlearnsaws.blogspot.com/2017/04/aws-regions.html).
 * Cloudflare publishes fewer of its own; those it does, ENAM to WNAM 45 ms, to WEUR 55, to EEUR 67, WNAM to
 * WEUR 75 (https://blog.cloudflare.com/d1-read-replication-beta/), are a little shorter. Members of one place
 * are taken to be in different data centres, 1 ms apart: between zones of a region 0.25 to 3.4 ms were measured
 * (https://www.xkyle.com/Measuring-AWS-Region-and-AZ-Latency/).
 *
 * @module
 */

/** Cloudflare's location hints; `wnam2` is a second place under the hint `wnam`. */
export type Place = "enam" | "wnam" | "wnam2" | "weur" | "eeur" | "apac-ne" | "oc";

export const cities: Readonly<Record<Place, string>> = {
  enam: "Virginia",
  wnam: "Oregon",
  wnam2: "Northern California",
  weur: "Ireland",
  eeur: "Frankfurt",
  "apac-ne": "Tokyo",
  oc: "Sydney",
};

const samePlaceMs = 1;

const roundTrips: readonly (readonly [Place, Place, number])[] = [
  ["enam", "wnam", 87],
  ["enam", "wnam2", 72.7],
  ["enam", "weur", 80.5],
  ["enam", "eeur", 88.7],
  ["enam", "apac-ne", 145.3],
  ["enam", "oc", 230],
  ["wnam", "wnam2", 19.2],
  ["wnam", "weur", 137],
  ["wnam", "eeur", 159.5],
  ["wnam", "apac-ne", 89.1],
  ["wnam", "oc", 162.2],
  ["wnam2", "weur", 153.2],
  ["wnam2", "eeur", 166.6],
  ["wnam2", "apac-ne", 102.5],
  ["wnam2", "oc", 157.5],
  ["weur", "eeur", 19.6],
  ["weur", "apac-ne", 212.4],
  ["weur", "oc", 309.6],
  ["eeur", "apac-ne", 236.5],
  ["eeur", "oc", 323.5],
  ["apac-ne", "oc", 103.9],
];

/** Milliseconds there and back. */
export function roundTripMs(a: Place, b: Place): number {
  if (a === b) return samePlaceMs;
  const found = roundTrips.find(([from, to]) => (from === a && to === b) || (from === b && to === a));
  if (found === undefined) throw new Error(`no round trip is known between ${a} and ${b}`);
  return found[2];
}

export interface Topology {
  readonly name: string;
  /** The last leads: of members that know as much, the highest id is elected. */
  readonly voters: readonly Place[];
  readonly observers: readonly Place[];
}

export const topologies: readonly Topology[] = [
  { name: "one member", voters: ["enam"], observers: [] },
  { name: "one region", voters: ["enam", "enam", "enam"], observers: [] },
  { name: "three in the US", voters: ["enam", "wnam2", "wnam"], observers: [] },
  { name: "transatlantic, led from the east coast", voters: ["wnam", "weur", "enam"], observers: [] },
  { name: "transatlantic, led from the west coast", voters: ["enam", "weur", "wnam"], observers: [] },
  {
    name: "five worldwide, led from the west coast",
    voters: ["weur", "apac-ne", "oc", "enam", "wnam"],
    observers: [],
  },
  {
    name: "five worldwide, led from Sydney",
    voters: ["weur", "apac-ne", "wnam", "enam", "oc"],
    observers: [],
  },
  {
    name: "one region, and observers in three others",
    voters: ["enam", "enam", "enam"],
    observers: ["weur", "apac-ne", "oc"],
  },
];
