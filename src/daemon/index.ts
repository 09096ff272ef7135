/** The daemon, floor 4: engine and kernel brought together, with configuration, control socket and logs. */
export { blackBoxPlace, serviceBlackBox } from "./black-box/place.ts";
export { segmentsIn } from "./black-box/ring.ts";
export * from "./capabilities.ts";
export * from "./driver.ts";
export * from "./dry-run.ts";
export { type Chapter, Chronicle } from "./history/chronicle.ts";
export { toldOf } from "./history/read.ts";
export { type Step, Teller } from "./history/teller.ts";
export * from "./kernel-port.ts";
export * from "./run.ts";
export { happeningOf } from "./seeing/happening.ts";
export { decisionOf, isShown } from "./seeing/happenings.ts";
export * from "./translate.ts";
