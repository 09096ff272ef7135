import type { Address } from "./address.ts";
import type { HistoryParameters, ToldHistory } from "./history.ts";
import type { AddressId, Endpoint, Limits, Token } from "./mptcp.ts";
import type { ControlWatched, WatchParameters } from "./watching.ts";

/** Version of the language of the control socket; a daemon answers requests of its own version only. */
export const CONTROL_VERSION = 1;

/** What may be asked of the daemon: method → parameters and result. One JSON object a line, either way. */
export interface ControlMethods {
  /** Who is there. */
  readonly hello: { readonly params: Record<string, never>; readonly result: ControlHello };
  readonly "endpoint.list": { readonly params: Record<string, never>; readonly result: readonly Endpoint[] };
  readonly "endpoint.add": {
    readonly params: {
      readonly address: Address;
      readonly flags: number;
      readonly id?: AddressId | undefined;
      readonly port?: number | undefined;
      readonly interfaceIndex?: number | undefined;
    };
    readonly result: null;
  };
  readonly "endpoint.delete": {
    readonly params: { readonly id: AddressId; readonly address?: Address | undefined };
    readonly result: null;
  };
  readonly "endpoint.change": {
    readonly params: {
      readonly id?: AddressId | undefined;
      readonly address?: Address | undefined;
      readonly port?: number | undefined;
      readonly flags: number;
    };
    readonly result: null;
  };
  readonly "endpoint.flush": { readonly params: Record<string, never>; readonly result: null };
  readonly "limits.get": { readonly params: Record<string, never>; readonly result: Limits };
  readonly "limits.set": {
    readonly params: { readonly subflows?: number | undefined; readonly addAddrAccepted?: number | undefined };
    readonly result: null;
  };
  /** Gives one connection another policy, of others' programs only of their own, and only where they may; parameters by name, as somebody writes them ("300ms"). */
  readonly "policy.set": {
    readonly params: {
      readonly token: Token;
      readonly policy: string;
      readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
    };
    readonly result: null;
  };
  /** The connection is treated again as the configuration says; of others' programs only their own. */
  readonly "policy.unset": { readonly params: { readonly token: Token }; readonly result: null };
  /** The engine's snapshot, or that of one connection. */
  readonly snapshot: { readonly params: { readonly token?: Token | undefined }; readonly result: unknown };
  /** Why there is no second subflow: connections with their left-out candidates and reasons; null for an unknown token. */
  readonly why: { readonly params: { readonly tokens: readonly Token[] }; readonly result: readonly unknown[] };
  /** The host plan in force, with what it leaves out and why. */
  readonly host: { readonly params: Record<string, never>; readonly result: unknown };
  /**
   * What there is, and then what changes: answered as soon as there is something to tell, within seconds at most. No queue a reader: whoever is slow
   * loses happenings, which are counted, and never a state.
   */
  readonly watch: { readonly params: WatchParameters; readonly result: ControlWatched };
  /** Where the black box is, when all that happened before the question can be read there; null: it is off. */
  readonly recording: {
    readonly params: Record<string, never>;
    readonly result: { readonly directory: string } | null;
  };
  /** What became of connections, as far as the black box tells; to others' programs of their own. */
  readonly history: { readonly params: HistoryParameters; readonly result: ToldHistory };
  /** The rules of the configuration in force, in words; none where the in-kernel path manager is in charge, for it has no use for them. */
  readonly rules: { readonly params: Record<string, never>; readonly result: ToldRules };
  /** Reads the configuration again, as SIGHUP does. */
  readonly reload: { readonly params: Record<string, never>; readonly result: null };
}

/** Names of what can be asked. */
export type ControlMethod = keyof ControlMethods;

/** The first rules, in their order. */
export interface ToldRules {
  readonly rules: readonly ToldRule[];
  /** Those that are not told. */
  readonly more: number;
}

/** A rule in words. */
export interface ToldRule {
  /** Its name, or its number from 1. */
  readonly name: string;
  /** Which connections it is for. */
  readonly match: string;
  readonly treatment: string;
  /** It is its time: connections that begin now may have it. */
  readonly isNow: boolean;
}

/** The daemon's answer to `hello`. */
export interface ControlHello {
  readonly product: "subflow";
  readonly version: string;
  readonly control: number;
  readonly pid: number;
  readonly pathManager: "kernel" | "userspace";
  readonly policy: string;
  /** To programs of other users: which policies they may ask for, of their own connections. */
  readonly steer?: readonly string[] | undefined;
  /** Milliseconds since its start. */
  readonly uptime: number;
  readonly connections: number;
  readonly events: number;
  readonly overruns: number;
  /** Connections, and changes of the network, that the kernel was sent requests for before their event was read. */
  readonly foreseen: number;
  /** Those requests, by what became of them. */
  readonly ahead: AheadCounts;
  /** What became of paths; with the userspace path manager. */
  readonly paths?: PathCounts | undefined;
  /** How long decisions and commands took, since it began; with the userspace path manager. */
  readonly latency?: LatencyCounts | undefined;
  /** What the service manager's watchdog was told; undefined: there is none. */
  readonly watchdog?: WatchdogUse | undefined;
  /** Interfaces with a quota, by their names; undefined: no interface has one. */
  readonly quotas?: readonly QuotaUse[] | undefined;
  /** What the engines were told and did, as it is written down; undefined: it is not. */
  readonly blackBox?: BlackBoxUse | undefined;
  /** What the daemon cannot do at present and tries again ("the state cannot be written: ENOSPC ..."), a sentence each. */
  readonly troubles: readonly string[];
}

/** The ring of files in which a daemon writes down what it was told and did. */
export interface BlackBoxUse {
  readonly directory: string;
  /** Bytes that it may take. */
  readonly size: number;
  /** Bytes and entries since the daemon began. */
  readonly written: number;
  readonly entries: number;
  /** Entries that came faster than they could be written, or when nothing could be. */
  readonly lost: number;
}

/** How long something took, counted. */
export interface LatencyHistogram {
  /** Milliseconds, rising. */
  readonly bounds: readonly number[];
  /** How many were at most so long, and longer than the bound before; one more: longer than all. */
  readonly counts: readonly number[];
  /** Milliseconds, of all. */
  readonly sum: number;
}

/** How long the daemon took. */
export interface LatencyCounts {
  /** From when it was told of the kernel's events until the kernel had carried out what was decided. */
  readonly decisions: LatencyHistogram;
  /** The kernel's part of that, and of commands that came from no event. */
  readonly commands: LatencyHistogram;
}

/** The watchdog of a service manager (`WatchdogSec=`). */
export interface WatchdogUse {
  /** Milliseconds without a word after which the service manager ends the daemon. */
  readonly interval: number;
  /** Times that it was told that the daemon works, and that it was not because the kernel did not answer. */
  readonly told: number;
  readonly missed: number;
}

/** How far the quota of an interface is used. */
export interface QuotaUse {
  readonly interface: string;
  /** Bytes, both ways, in the present period. */
  readonly used: number;
  /** Bytes. */
  readonly limit: number;
  readonly period: "day" | "week" | "month";
  /** What follows from it: nothing; it was warned; its endpoints are backup; it has none. */
  readonly stage: "within" | "warned" | "backup" | "off";
  /** When a new period begins: "2026-12-01T00:00:00.000Z". */
  readonly ends: string;
}

/** What became of paths, since the daemon began. */
export interface PathCounts {
  /** Subflows that were closed because their path had gone silent. */
  readonly silent: number;
  /** Joins that were sent to see whether a path is alive. */
  readonly probes: number;
  /** Times that a subflow became backup because its path lost too much. */
  readonly quarantines: number;
  /** Subflows that were lost and are there again; the times from one to the other, in milliseconds, of the last 256. */
  readonly recoveries: { readonly count: number; readonly median: number; readonly longest: number };
}

/** Requests that went to the kernel before JavaScript heard of the event. */
export interface AheadCounts {
  /** All that went out. */
  readonly sent: number;
  /** Those of them that the kernel refused. */
  readonly refused: number;
}

/** One line from client to daemon. */
export interface ControlRequest {
  readonly v: number;
  /** Comes back in the answer. */
  readonly id: number;
  readonly method: string;
  readonly params?: unknown;
}

/** What went wrong, in a form that the CLI turns into iproute2's texts and exit statuses. */
export interface ControlFailure {
  /**
   * Stable: KERNEL (refused as the kernel would), REQUEST (the request is wrong, at `offset` or `path`), VERSION (another version
   * of this language), CONFIG (the configuration is wrong), BUSY, DENIED, INTERNAL.
   */
  readonly code: "KERNEL" | "REQUEST" | "VERSION" | "CONFIG" | "BUSY" | "DENIED" | "INTERNAL";
  readonly message: string;
  /** Positive; with code KERNEL. */
  readonly errno?: number | undefined;
  /** Of the request, where it is wrong: "params.address", "params.tokens.3". */
  readonly path?: string | undefined;
  /** Byte of the line, from 0, where it is no JSON. */
  readonly offset?: number | undefined;
}

/** One line from daemon to client. */
export type ControlResponse =
  | { readonly v: number; readonly id: number; readonly result: unknown }
  | { readonly v: number; readonly id: number; readonly error: ControlFailure };
