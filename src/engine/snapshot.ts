import type { Address, AddressId, Endpoint, Limits, Path, Side, Token } from "../types/index.ts";
import type { AttemptView, LeftOut, RemoteAddressState, SubflowFacts, SubflowView } from "./policy.ts";

/** One subflow in a snapshot. */
export interface SubflowSnapshot extends SubflowFacts, Pick<SubflowView, "backupByPeer"> {
  /** It was to be closed (`closing`), and is kept in use because nothing else is left of the connection. */
  readonly held?: boolean;
  /** Its path loses too much, or is doubted: it is backup for now. */
  readonly quarantined?: boolean;
  /** It was opened to see whether the path of another answers, and goes again. */
  readonly isProbe?: boolean;
  /** What its policy holds against its local address now; only where somebody asks why. */
  readonly objection?: string;
}

/** One connection in a snapshot: plain JSON. */
export interface ConnectionSnapshot {
  readonly token: Token;
  readonly side: Side;
  readonly initial: Path;
  readonly established: boolean;
  readonly denyJoinId0: boolean;
  /** False: the in-kernel path manager has it; never acted upon. */
  readonly owned: boolean;
  /** The one in charge, with what of its parameters was given: "active-backup hold_down=10s". */
  readonly policy: string;
  /** The rule that says so; "": none does. */
  readonly rule: string;
  readonly subflows: readonly SubflowSnapshot[];
  readonly remotes: readonly {
    readonly id: AddressId;
    readonly address: Address;
    readonly port: number;
    readonly state: RemoteAddressState;
  }[];
  readonly announced: readonly { readonly id: AddressId; readonly address: Address; readonly port: number }[];
  readonly attempts: readonly AttemptView[];
  /** Why the policy's last plan was refused; "": it was not. What the one before led to stays. */
  readonly planRefused: string;
}

/** A connection and, for each subflow or announcement that it could have and has not, why: `subflow why`. */
export interface ConnectionExplanation {
  readonly connection: ConnectionSnapshot;
  readonly leftOut: readonly LeftOut[];
}

/** Totals since the engine was made. */
export interface EngineCounters {
  events: number;
  actions: number;
  connections: number;
  failures: number;
  overruns: number;
  resyncs: number;
  /** Events turned down because a bound was reached. */
  bounded: number;
  /** Plans that were refused because the policy threw or planned nonsense. */
  refusedPlans: number;
  /** Subflows that were closed because their path had gone silent. */
  silent: number;
  /** Joins that were sent to see whether a path is alive. */
  probes: number;
  /** Times that a subflow became backup because its path lost too much. */
  quarantines: number;
}

/** The whole engine: plain JSON, for CLI, dashboard, bug report. Large with many connections: ask for one where one is meant. */
export interface EngineSnapshot {
  readonly policy: string;
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
  readonly counters: Readonly<EngineCounters>;
  readonly connections: readonly ConnectionSnapshot[];
}
