/**
 * The features of the world, in the order of their streams: append, so that seeds stay comparable.
 *
 * @module
 */

import type { Feature } from "../feature.ts";
import { clocks } from "./clocks.ts";
import { forwarding } from "./forwarding.ts";
import { members } from "./members.ts";
import { sleep } from "./sleep.ts";
import { versions } from "./versions.ts";

export const features: readonly Feature[] = [clocks, versions, sleep, forwarding, members];
