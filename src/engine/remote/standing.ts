import type { Millis } from "../../types/index.ts";
import type { Subflow } from "../subflow.ts";
import type { RemotePlan } from "./plain.ts";

/** What one connection has of such a policy. */
export interface Standing {
  /** Of the last question. */
  version: number;
  /** When the policy was first asked: for so long nothing is done without it. */
  readonly since: Millis;
  /** The subflows that the last question was about, and that the last plan was. */
  asked: readonly Subflow[];
  seen: readonly Subflow[];
  plan: RemotePlan | undefined;
  memory: unknown;
}
