import type { HostLink } from "../host/index.ts";
import type { Address, Connection, Endpoint, Limits, SocketAddress, Token } from "../types/index.ts";
import type { InterfaceAddress, Route, Rule } from "../wire/index.ts";
import type { FirewallSuspect } from "./firewall.ts";

/** How an attempt to make or list MPTCP sockets ended: 0, or a positive errno; undefined: not tried. */
export type Outcome = number | undefined;

/** What the kernel answers to `ip route get REMOTE from ADDRESS [ oif DEV ]`; undefined: no route. */
export interface RouteAnswer {
  readonly outputInterface: number;
  readonly gateway: Address | undefined;
}

/** How packets from one local address would travel, asked of the kernel. */
export interface RouteProbe {
  readonly address: Address;
  /** The interface that has the address. */
  readonly interfaceIndex: number;
  readonly remote: Address;
  /** The remote is the peer of a live connection, not an address out of the documentation ranges. */
  readonly isPeer: boolean;
  /** As a socket bound to the interface too is routed: a subflow of an endpoint with a device. */
  readonly bound: RouteAnswer | undefined;
  /** As a socket bound to the address alone is routed. */
  readonly unbound: RouteAnswer | undefined;
}

/** Another program that manages endpoints, and how to stop it. */
export interface OtherManager {
  readonly name: string;
  readonly pid: number;
  readonly command: string;
}

/** Everything that the doctor looks at; what could not be looked at is undefined, and named in `notLooked`. */
export interface DoctorFacts {
  /** Outcome of an IPPROTO_MPTCP socket of each family, and of a dump of them. */
  readonly socket4: Outcome;
  readonly socket6: Outcome;
  readonly diag: Outcome;
  /** Full name → value. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** "kernel", "userspace" or another; undefined without MPTCP. */
  readonly pathManager: string | undefined;
  /** The path manager of Subflow's daemon; undefined: no daemon answers. */
  readonly daemon: "kernel" | "userspace" | undefined;
  /** Does a process of this namespace listen to path manager events? */
  readonly eventListener: boolean | undefined;
  readonly managers: readonly OtherManager[];
  readonly links: readonly HostLink[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly routeProbes: readonly RouteProbe[];
  /** Endpoints and limits of the table in charge: the kernel's, or the daemon's in userspace mode. */
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits | undefined;
  /** The kernel's own table; the same as `endpoints` while its path manager is in charge. */
  readonly kernelEndpoints: readonly Endpoint[];
  /** Addresses of endpoints that the kernel takes for its own (a local route), on no interface though they may be. */
  readonly localAddresses: ReadonlySet<Address>;
  readonly connections: readonly Connection[];
  /** Those of them that the daemon decides for; undefined: it was not asked. */
  readonly managed: ReadonlySet<Token> | undefined;
  /** Listening MPTCP sockets. */
  readonly listeners: readonly SocketAddress[];
  /** Listening sockets and established connections that are plain TCP, without those of the loopback. */
  readonly plainListeners: readonly SocketAddress[];
  readonly plainConnections: number;
  /** MPTcpExt of /proc/net/netstat, since boot (of the namespace). */
  readonly counters: Readonly<Record<string, number>>;
  readonly firewall: readonly FirewallSuspect[];
  /** Every installed tool answered, and there is at least one. */
  readonly isFirewallKnown: boolean;
  readonly notLooked: readonly NotLooked[];
}

/** Something that could not be looked at, and why. */
export interface NotLooked {
  readonly what: string;
  readonly why: string;
}
