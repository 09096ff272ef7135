import type { Action, ConnectionSnapshot, EngineEvent, EngineOptions, Timing } from "../engine/index.ts";
import type { Capacity, HostAction, HostConfig, HostFact, SavedHost } from "../host/index.ts";
import type { Millis, Token } from "../types/index.ts";

/** How the engine of connections was when a part of a recording began. */
export interface EngineBeginning {
  readonly timing?: Partial<Timing> | undefined;
  /** Brings a new engine to where the part begins: its table, its addresses, how connections are treated. */
  readonly setUp: readonly EngineEvent[];
}

/** How the engine of the host was. */
export interface HostBeginning {
  readonly saved: SavedHost;
  readonly afterCrash: boolean;
  readonly yielded: readonly string[];
  readonly capacity: Capacity;
  readonly closesSubflows: boolean;
  /** undefined: it had none yet. */
  readonly config?: HostConfig | undefined;
  /** Those that were asked for before. */
  readonly sysctls: readonly SysctlRead[];
}

/** A daemon's life begins, or goes on in another part. */
export interface Beginning {
  readonly type: "begin";
  readonly at: Millis;
  /** Milliseconds since 1970, when it was `at`. */
  readonly epoch: Millis;
  /** Names the life; its parts count up from 0, which begins with the daemon itself. */
  readonly life: string;
  readonly part: number;
  /** Events and facts of this life that came before: where fewer were read, some are missing. */
  readonly before: number;
  /** Of Subflow and of the kernel. */
  readonly version: string;
  readonly kernel: string;
  readonly pathManager: "kernel" | "userspace";
  /** Addresses are not those that there were: {@link AddressMask}. */
  readonly isMasked?: boolean | undefined;
  /** undefined: the in-kernel path manager is in charge. */
  readonly engine?: EngineBeginning | undefined;
  readonly host?: HostBeginning | undefined;
}

/** The engine of connections was told something. */
export interface EventEntry {
  readonly type: "event";
  readonly at: Millis;
  readonly event: EngineEvent;
  readonly actions: readonly Action[];
}

/** A sysctl that was asked for, and what it was; undefined: there is no such. */
export type SysctlRead = readonly [name: string, value: string | undefined];

/** The engine of the host was told something. */
export interface FactEntry {
  readonly type: "fact";
  readonly at: Millis;
  readonly fact: HostFact;
  readonly actions: readonly HostAction[];
  /** Lost subflows come back by endpoints that are made anew. */
  readonly recovers: boolean;
  /** What it asked for meanwhile, as far as it was not told of in this life before. */
  readonly sysctls: readonly SysctlRead[];
}

/** A connection that was there before this part began. */
export interface SeenEntry {
  readonly type: "seen";
  readonly at: Millis;
  readonly connection: ConnectionSnapshot;
}

/** Whose a connection is, behind the entry that tells of it. */
export interface OwnerEntry {
  readonly type: "owner";
  readonly at: Millis;
  readonly token: Token;
  /** Of its socket. */
  readonly uid: number;
}

/** What came faster than it could be written is not there. */
export interface LostEntry {
  readonly type: "lost";
  readonly at: Millis;
  readonly entries: number;
}

/** One thing in a recording. */
export type Entry = Beginning | EventEntry | FactEntry | SeenEntry | OwnerEntry | LostEntry;

/** What the engine knew of its kernel, which the host's beginning tells: its table took as much as the kernel's own. */
export function kernelOptionsOf(
  host: HostBeginning | undefined,
): Pick<EngineOptions, "table" | "createsNoBackup"> | undefined {
  if (!host) return undefined;
  const { endpoints, limit, createsNoBackup } = host.capacity;
  return { table: { endpointsMax: endpoints, limitMax: limit }, createsNoBackup };
}
