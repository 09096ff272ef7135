/** For whoever writes a policy, floor 4: a stage to try it on, and the laws that each must keep. No root, no kernel, no waiting. Pure. */
export * from "./laws.ts";
export * from "./stage.ts";
