import type { Address, Limits } from "../types/index.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import type { PlannedRoute, PlannedRule } from "./routing.ts";

/** One change of the host. Carried out in the order given; each is an action of its own, and one that fails stops no other. */
export type HostChange =
  | { readonly type: "endpoint.add"; readonly endpoint: PlannedEndpoint }
  | {
      readonly type: "endpoint.delete";
      readonly id: number;
      readonly address: Address;
      readonly port: number;
      readonly foreign: boolean;
      /** Its link, its network or its address was lost. */
      readonly isLoss?: boolean | undefined;
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

/** What the engine wants to know; the fact that answers comes before any other. */
export type HostQuestion =
  /** Links, addresses, routes, rules and sysctls. Answer: `network`. */
  | { readonly type: "network.read" }
  /** Endpoints and limits of the table in charge. Answer: `table`. */
  | { readonly type: "table.read" }
  /** Every MPTCP connection of the namespace. Answer: `connections`. */
  | { readonly type: "connections.read" }
  /** Other programs that set endpoints. Answer: `rivals`. */
  | { readonly type: "rivals.find" };

/** What is to be done beside the host: nothing of it can be refused. */
export type HostNote =
  /** The memory has changed and is to be written down: what comes after must not come before it is. */
  | { readonly type: "state.save" }
  /** Sysctls are to be read anew when somebody asks for them. */
  | { readonly type: "sysctls.forget" }
  /** What the kernel found out of the network before, that it drops MPTCP, is not to count any more. */
  | { readonly type: "blackhole.forget" }
  | { readonly type: "say"; readonly level: "info" | "warn"; readonly text: string };

/**
 * What the `HostEngine` answers a fact with, to be carried out in order: changes that stand together are answered by one `done`, and a
 * question before the next action is looked at.
 */
export type HostAction = HostChange | HostQuestion | HostNote;
