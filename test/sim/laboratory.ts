/**
 * What the mutants' runner needs of a bundle: runs, scripts and their shrinking over one copy of the code.
 *
 * @module
 */

import { walk } from "../zab/random-walk.ts";
import { play } from "./script.ts";
import { formatScenario, parseScenario, scenarioOf, shrink } from "./shrink.ts";
import { simulate } from "./sim.ts";

export const laboratory = { formatScenario, parseScenario, play, scenarioOf, shrink, simulate, walk };
