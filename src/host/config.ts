import type { Address } from "../types/index.ts";
import type { InterfaceKind } from "./kind.ts";
import type { Quota } from "./quota.ts";

/** What an interface's addresses are for. */
export const ROLES = ["primary", "backup", "subflow", "signal", "fullmesh", "laminar", "off"] as const;
export type Role = (typeof ROLES)[number];

/** Policies that flags of endpoints and limits say to the in-kernel path manager, when they have no parameters (kernel-policy.ts). */
export const KERNEL_POLICIES = ["fullmesh", "active-backup", "announce-only", "none"] as const;
export type KernelPolicy = (typeof KERNEL_POLICIES)[number];

/** Which interfaces a rule means: all that is given must fit. */
export interface InterfaceMatch {
  /** A shell pattern: `wlan*`, `eth[01]`. */
  readonly name?: string | undefined;
  readonly kind?: InterfaceKind | undefined;
  /** As NetworkManager or systemd-networkd call it; a shell pattern too. */
  readonly connection?: string | undefined;
}

/** A role for some interfaces; the first rule that fits an interface decides. */
export interface InterfaceRule {
  readonly match: InterfaceMatch;
  readonly role: Role;
  readonly alsoWithoutDefaultRoute: boolean;
  /** What peers are told instead of its addresses of that family: a NAT forwards from there to them. */
  readonly announceAs?: Address | undefined;
  /** What is sent there costs money; undefined: as the kind of the interface has it. */
  readonly metered?: boolean | undefined;
  /** What it costs to send there, in units of the administrator's own. */
  readonly cost?: number | undefined;
  /** Of each interface that it fits; then it is backup, then off. */
  readonly quota?: Quota | undefined;
}

/** An endpoint that the configuration names itself. */
export interface FixedEndpoint {
  readonly address: Address;
  readonly port: number;
  /** 0: chosen. */
  readonly id: number;
  readonly flags: number;
  readonly dev: string | undefined;
}

/** What a host's plan depends on beside what is observed. */
export interface HostConfig {
  readonly profile: "client" | "server";
  /** False: interfaces, routing and sysctls are the user's; only fixed endpoints and fixed limits count. */
  readonly automatic: boolean;
  readonly interfaces: readonly InterfaceRule[];
  readonly endpoints: readonly FixedEndpoint[];
  /** "auto": computed; undefined: left as they are. */
  readonly limits: {
    readonly subflows: number | "auto" | undefined;
    readonly addAddrAccepted: number | "auto" | undefined;
  };
  /** How many addresses a peer is expected to have: with ours they decide computed limits. */
  readonly remoteAddresses: number;
  readonly routing: "auto" | "always" | "never";
  /**
   * A policy over pairs of addresses is in charge: it covers every address whatever the flags say, and peers may learn of every endpoint and open
   * subflows to it. Otherwise it is the in-kernel algorithm, which covers as flags and limits let it.
   */
  readonly plansPairs?: boolean | undefined;
  /** What flags and limits are to have the in-kernel algorithm do; undefined: cover every address. */
  readonly kernelPolicy?: KernelPolicy | undefined;
  /** May a strict rp_filter be relaxed? */
  readonly rpFilter: boolean;
  /** May net.mptcp.enabled be set? */
  readonly enableMptcp: boolean;
  /** Sets net.mptcp.allow_join_initial_addr_port to 0: peers join announced addresses only. */
  readonly behindLoadBalancer: boolean;
  /** What becomes of endpoints that somebody else added. */
  readonly foreignEndpoints: "ignore" | "adopt" | "replace";
}
