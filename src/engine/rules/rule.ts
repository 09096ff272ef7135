import type { Limits, Prefix, Side, SocketAddress } from "../../types/index.ts";
import type { Delay } from "../delay.ts";
import type { GivenValues } from "../parameters.ts";

/** From a port to a port, both included. */
export type PortRange = readonly [number, number];

/** What a rule is for: everything that it names must hold; of a list, one. */
export interface Match {
  readonly side?: Side | undefined;
  readonly local?: readonly Prefix[] | undefined;
  readonly remote?: readonly Prefix[] | undefined;
  readonly localPorts?: readonly PortRange[] | undefined;
  readonly remotePorts?: readonly PortRange[] | undefined;
  /** Where the connection began: shell patterns of names. */
  readonly interfaces?: readonly string[] | undefined;
  /** Numbers of users (uid). */
  readonly users?: readonly number[] | undefined;
  /** Shell patterns of systemd units. */
  readonly units?: readonly string[] | undefined;
  /** Shell patterns of cgroup paths, as in /proc/PID/cgroup; what is below belongs to it. */
  readonly cgroups?: readonly string[] | undefined;
  /** Shell patterns of names of commands (/proc/PID/comm). */
  readonly commands?: readonly string[] | undefined;
}

/** Which interfaces a connection uses, by shell patterns of names; absent or empty lists say nothing. */
export interface InterfaceChoice {
  /** No others. */
  readonly allow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
  /** What goes there is backup. */
  readonly backup?: readonly string[] | undefined;
}

/** How some connections are treated. What a rule does not say is as without it. */
export interface Rule {
  /** Its name, or its number in the configuration, from 1. */
  readonly name: string;
  readonly match: Match;
  readonly policy?: string | undefined;
  readonly given?: GivenValues | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly interfaces?: InterfaceChoice | undefined;
  readonly delay?: Delay | undefined;
}

/** Whose socket it is, as the kernel says. */
export interface SocketOwner {
  readonly uid: number;
  /** Path of its cgroup, "/user.slice/user-1000.slice"; undefined: not known. */
  readonly cgroup: string | undefined;
}

/** What is known of who has the connection; undefined: nobody has looked. null: it cannot be found out. */
export interface Owner {
  readonly socket: SocketOwner | null;
  readonly command?: string | null | undefined;
}

/** A connection, as rules look at it: lazily, for what nobody looks at need not be known beforehand. */
export interface RuleFacts {
  readonly side: Side;
  readonly initial: { readonly local: SocketAddress; readonly remote: SocketAddress };
  /** Of its local address; undefined: not known. */
  readonly interfaceName: string | undefined;
}
