import type { ConnectionLife, Endpoint, Limits, Millis, MptcpEvent } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import type { HostFacts } from "./facts.ts";
import type { PathLosses } from "./losses.ts";
import type { AddressesInUse } from "./reconcile.ts";
import type { Rival } from "./rivals.ts";

/** The host as the network and its settings are, without the table. */
export type Network = Pick<HostFacts, "links" | "addresses" | "routes" | "rules" | "sysctls" | "quotaUsed">;

/** Endpoints and limits of the table in charge. */
export interface Table {
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
}

/** What changed, as far as the next plan's haste depends on it: a lost path stalls applications, a new one does not. */
export type Haste = "loss" | "gain";

/** One thing that the engine of a host is told. */
export type HostFact =
  /** This configuration is in force from now on. */
  | { readonly type: "configured"; readonly config: HostConfig }
  /** Something in the network changed. */
  | { readonly type: "network.changed"; readonly haste: Haste }
  /** Somebody may have changed the table; it is read when it is needed. */
  | { readonly type: "table.doubted" }
  /** Compare and correct now, with a table that is read now. */
  | { readonly type: "compare" }
  /** An endpoint of the plan was added before the engine was asked (foresight). */
  | { readonly type: "endpoint.foreseen"; readonly endpoint: { readonly address: string; readonly port: number } }
  /** What connections went through; also when nobody knows what (events were lost). */
  | { readonly type: "events"; readonly events: readonly MptcpEvent[] }
  | { readonly type: "tick" }
  /** Thinking about the last fact took so long that it is felt. */
  | { readonly type: "thought"; readonly took: Millis }
  /** Answers `network.read`. */
  | { readonly type: "network"; readonly network: Network }
  /** Answers `table.read`. */
  | ({ readonly type: "table" } & Table)
  /** Answers `connections.read`. @property cost of finding it out */
  | { readonly type: "connections"; readonly connections: readonly ConnectionLife[]; readonly cost: Millis }
  /** What was sent from each local address since the last look, and how much of it again. Nothing asks for it. */
  | { readonly type: "losses"; readonly paths: readonly PathLosses[] }
  /** Answers `rivals.find`. */
  | { readonly type: "rivals"; readonly rivals: readonly Rival[] }
  /** Answers changes: an errno for each, in order; 0: it was done. */
  | { readonly type: "done"; readonly errnos: readonly number[] }
  /** Nothing is to be changed any more until `restore`. */
  | { readonly type: "ending" }
  | RestoreFact;

/** The host is to be as it was found, but for what connections live by. */
export interface RestoreFact {
  readonly type: "restore";
  /** Endpoints and limits too: the table outlives us. */
  readonly ofTable: boolean;
  readonly inUse: AddressesInUse;
}
