import type { Scenario } from "../scenario.ts";
import { ANNOUNCE } from "./announce.ts";
import { BEYOND } from "./beyond.ts";
import { CHANGE } from "./change.ts";
import { CONNECT } from "./connect.ts";
import { DENY } from "./deny.ts";
import { FAMILIES } from "./families.ts";
import { LIMITS } from "./limits.ts";
import { REMOVAL } from "./removal.ts";

/** All of them, in the order in which they are played. */
export const SCENARIOS: readonly Scenario[] = [
  ...CONNECT,
  ...ANNOUNCE,
  ...DENY,
  ...CHANGE,
  ...LIMITS,
  ...REMOVAL,
  ...FAMILIES,
  ...BEYOND,
];
