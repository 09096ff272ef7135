import type { Address, Limits } from "../types/index.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import type { PlannedRoute, PlannedRule } from "./routing.ts";

/** One change of the host. Carried out in the order given; each is an action of its own, and one that fails stops no other. */
export type HostAction =
  | { readonly type: "endpoint.add"; readonly endpoint: PlannedEndpoint }
  | {
      readonly type: "endpoint.delete";
      readonly id: number;
      readonly address: Address;
      readonly port: number;
      readonly foreign: boolean;
    }
  /** Absolute value of backup and fullmesh (MPTCP_PM_CMD_SET_FLAGS). */
  | {
      readonly type: "endpoint.flags";
      readonly id: number;
      readonly address: Address;
      readonly port: number;
      readonly flags: number;
    }
  /** Somebody else's endpoint is ours from now on. */
  | { readonly type: "endpoint.adopt"; readonly address: Address; readonly port: number }
  | { readonly type: "limits.set"; readonly limits: Limits }
  | { readonly type: "rule.add" | "rule.delete"; readonly rule: PlannedRule }
  | { readonly type: "route.add" | "route.delete"; readonly route: PlannedRoute }
  | { readonly type: "sysctl.set"; readonly name: string; readonly value: string; readonly before: string | undefined };
