/**
 * What the server tells the page, whole each time: who was away, or slow, has nothing to catch up with. Rates are bytes a second, times
 * milliseconds, tokens eight hexadecimal digits.
 */
export interface Picture {
  /** Name of this host. */
  readonly host: string;
  /** Who is in charge, in words; "": no daemon. */
  readonly who: string;
  /** What is missing, a sentence each. */
  readonly missing: readonly string[];
  /** Subflows may be made backup and closed. */
  readonly mayControl: boolean;
  readonly sums: Sums;
  readonly topology: Topology;
  /** Connections that the search finds, of which `rows` are those from `offset` on. */
  readonly found: number;
  readonly offset: number;
  readonly rows: readonly Row[];
  /** The connection that is open; null: it is over; undefined: none is. */
  readonly opened?: Opened | null | undefined;
  readonly daemon?: DaemonPicture | undefined;
}

export interface Sums {
  readonly connections: number;
  readonly subflows: number;
  /** Connections with something wrong. */
  readonly troubled: number;
  readonly sendRate: number;
  readonly receiveRate: number;
}

/** How a line or a subflow is drawn: the worst of what it stands for. */
export type State = "good" | "backup" | "trouble";

/** This host's interfaces at the left, remote hosts at the right, and what runs between them. */
export interface Topology {
  readonly interfaces: readonly string[];
  /** The busiest ones. */
  readonly remotes: readonly string[];
  readonly edges: readonly Edge[];
  /** Remote hosts that there is no room for. */
  readonly more: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly subflows: number;
  readonly rate: number;
  readonly state: State;
}

/** A connection in the list. */
export interface Row {
  readonly token: string;
  readonly side: string;
  readonly remote: string;
  readonly policy: string;
  readonly subflows: number;
  readonly sendRate: number;
  readonly receiveRate: number;
  readonly rtt: number;
  readonly bytes: number;
  /** What is wrong, in words; "": nothing. */
  readonly trouble: string;
  /** Its rates of the last minute, the oldest first. */
  readonly rates: readonly number[];
}

/** A connection on its page. */
export interface Opened {
  readonly row: Row;
  readonly local: string;
  readonly user: string;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly subflows: readonly SubflowRow[];
  /** What it could have and has not; a text: why nobody knows; undefined: asked for. */
  readonly why: readonly { readonly what: string; readonly reason: string }[] | string | undefined;
  /** What happened, the newest first. */
  readonly timeline: readonly TimelineEntry[];
}

export interface SubflowRow {
  /** Names it to the server. */
  readonly key: string;
  readonly interface: string;
  readonly local: string;
  readonly remote: string;
  readonly state: State;
  /** In words: "established", "backup", "closing", what is wrong. */
  readonly words: string;
  readonly isBackup: boolean;
  readonly rtt: number;
  readonly sendRate: number;
  readonly receiveRate: number;
  readonly retransmits: number;
  /** One reading a second of the last minute, the oldest first: bytes a second, and milliseconds; 0: not measured. */
  readonly rates: readonly number[];
  readonly rtts: readonly number[];
}

export interface TimelineEntry {
  /** Milliseconds ago. */
  readonly ago: number;
  readonly kind: "event" | "decision";
  readonly text: string;
}

/** The host as the daemon sees it. */
export interface DaemonPicture {
  readonly version: string;
  readonly uptime: number;
  readonly overruns: number;
  readonly recoveries?: { readonly count: number; readonly median: number; readonly longest: number } | undefined;
  readonly silent?: number | undefined;
  readonly quarantines?: number | undefined;
  readonly quotas: readonly {
    readonly interface: string;
    readonly used: number;
    readonly limit: number;
    readonly stage: string;
  }[];
  readonly troubles: readonly string[];
  readonly endpoints: readonly {
    readonly id: number;
    readonly address: string;
    readonly interface: string;
    readonly flags: string;
  }[];
  /** In their order, with how many connections have each; undefined: who looks may not know them. */
  readonly rules?: { readonly shown: readonly RuleRow[]; readonly more: number } | undefined;
  readonly limits?: { readonly subflows: number; readonly addAddrAccepted: number } | undefined;
}

/** A rule of the configuration, in words. */
export interface RuleRow {
  readonly name: string;
  readonly match: string;
  readonly treatment: string;
  readonly isNow: boolean;
  readonly connections: number;
}

/** A finding of the doctor, as `subflow -j doctor` has it. */
export interface Finding {
  readonly id: string;
  readonly level: "ok" | "note" | "warning" | "error";
  readonly seen: string;
  readonly why: string;
  readonly fix: readonly string[];
}

/** What the page asks for, as the query of its stream. */
export interface Query {
  readonly sort: string;
  readonly filter: string;
  readonly search: string;
  readonly offset: number;
  readonly count: number;
  readonly opened: string;
}

/** Something that is done to a subflow, where the server allows it. */
export interface Deed {
  readonly type: "backup" | "nobackup" | "close";
  readonly token: string;
  readonly key: string;
}
