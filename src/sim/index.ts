/** A kernel, a network and a clock made up by seed, floor 3: runs the engine for millions of events and checks its laws. Pure. */
export { BrokenLaw } from "./checkers.ts";
export * from "./kernel.ts";
export { Random } from "./random.ts";
export * from "./simulation.ts";
export { World } from "./world.ts";
