import type { Endpoint, Limits } from "../types/index.ts";
import type { InterfaceAddress, Link, Route, Rule } from "../wire/index.ts";
import type { InterfaceKind } from "./kind.ts";

/** A link with what only the rest of the host knows of it. */
export interface HostLink extends Link {
  readonly interfaceKind: InterfaceKind;
  /** What NetworkManager or systemd-networkd call its connection. */
  readonly connection: string | undefined;
}

/** An address with what the kernel does with it. */
export interface HostAddress extends InterfaceAddress {
  /**
   * The kernel does not take packets to it yet: it tells of an IPv4 address before it adds the local route
   * (__inet_insert_ifa), and until then bind(2) answers EADDRNOTAVAIL and a subflow from there is lost for good.
   */
  readonly unrouted?: boolean;
}

/** What the kernel has room for and can do, probed. */
export interface Capacity {
  readonly endpoints: number;
  /** Largest value of either limit. */
  readonly limit: number;
  readonly laminar: boolean;
  /** Subflows that the userspace path manager creates are never backup from the start (Linux 6.1). */
  readonly createsNoBackup?: true | undefined;
}

/** Everything that is observed of a host; the host plan is a pure function of this and the configuration. */
export interface HostFacts {
  readonly links: readonly HostLink[];
  readonly addresses: readonly HostAddress[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  /** The table in charge: the kernel's, or the daemon's in userspace mode. */
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
  /** Sysctls that a plan may depend on: full name → value. */
  readonly sysctls: Pick<ReadonlyMap<string, string>, "get">;
  readonly capacity: Capacity;
  /** Bytes that interfaces with a quota have carried in its period, by their names. */
  readonly quotaUsed?: ReadonlyMap<string, number> | undefined;
}

/** What Subflow did here before, also in an earlier life. */
export interface HostMemory {
  /** Endpoints that are ours: {@link endpointKey}. */
  readonly owned: ReadonlySet<string>;
  /**
   * An earlier life ended without a goodbye (kill -9), perhaps between adding an endpoint and writing down that it is ours:
   * one that is exactly as planned, and not known as somebody else's, is taken for ours.
   */
  readonly afterCrash: boolean;
  /** Endpoints that were somebody else's when we last looked: {@link endpointKey}. undefined: we never looked. */
  readonly foreign: ReadonlySet<string> | undefined;
  /** Endpoints that somebody else keeps taking away: left alone. */
  readonly yielded: ReadonlySet<string>;
  /** Sysctls that we changed: full name → value before. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** The limits before us; undefined: we never set them. */
  readonly limits: Limits | undefined;
}

/** It may be ours all the same: an earlier life can have been killed between adding it and writing that down. */
export function isUnwritten(key: string, { afterCrash, foreign }: HostMemory): boolean {
  return afterCrash && foreign?.has(key) === false;
}

/** Names an endpoint among others: the kernel refuses two with the same address and port. */
export function endpointKey({ address, port }: { readonly address: string; readonly port: number }): string {
  return port === 0 ? address : `${address} port ${port}`;
}
