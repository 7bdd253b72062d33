/**
 * What the mutants' runner needs of a bundle: runs, scripts and their shrinking over one copy of the code.
 *
 * @module
 */

export { type Bounds, Explorer } from "./explore.ts";
export { play } from "./script.ts";
export { formatScenario, parseScenario, type Scenario, scenarioOf, shrink } from "./shrink.ts";
export { simulate } from "./sim.ts";
