import { type AddressId, assert, type Millis, type Path } from "../types/index.ts";
import type { ActionId } from "./actions.ts";
import type { Losses, Measured, SubflowFacts, SubflowState, SubflowView } from "./policy.ts";

/** What happens to a subflow. */
export type Cause =
  /** Its handshake was completed. */
  | "opened"
  /** A plan keeps the join that the peer made. */
  | "admitted"
  /** It is to end: asked for, or held until another can take its place. */
  | "closed"
  /** Its end is not wanted any more, or the kernel refused it. `kept` had been established, `awaited` is still being opened. */
  | "kept"
  | "awaited";

/** All transitions of a subflow's life; that it is gone is told by its absence. What is not here is an error of ours. */
export const TRANSITIONS: Readonly<Record<SubflowState, Readonly<Partial<Record<Cause, SubflowState>>>>> = {
  creating: { opened: "established", closed: "closing" },
  arrived: { admitted: "established", closed: "closing" },
  established: { closed: "closing" },
  closing: { closed: "closing", kept: "established", awaited: "creating" },
};

/** One subflow, as remembered. */
export class Subflow implements SubflowView {
  readonly state: SubflowState;
  path: Path;
  localId: AddressId;
  readonly remoteId: AddressId;
  readonly join: boolean;
  readonly initiated: boolean;
  backup: boolean;
  backupByPeer = false;
  /** What the peer was told of it, by the SYN or by MP_PRIO. */
  backupTold: boolean;
  /** The `subflow.create` that made it; 0: none of ours. */
  createId: ActionId = 0;
  /** When to ask what became of it, while `creating`. */
  deadline: Millis = 0;
  /** Its handshake was completed: the connection may live by it. */
  alive: boolean;
  /** The kernel was asked what became of it. */
  asked = false;
  /** The kernel refused its local id, and was asked for its list. */
  refused = false;
  interfaceIndex = 0;
  since: Millis | undefined = undefined;
  endpoint: AddressId = 0;
  measured: Measured | undefined = undefined;
  quarantinedUntil: Millis | undefined = undefined;
  /** What it is to be when it is in quarantine no longer. */
  backupOtherwise = false;
  /** Since when its path may be as silent as another that shares an end with it. */
  doubtedAt: Millis | undefined = undefined;
  losses: Losses | undefined = undefined;
  /** How often it was in quarantine for its losses, and the reading from which on they count. */
  quarantines = 0;
  /** It is in quarantine for them now. */
  isLossy = false;
  lossesFrom: Measured | undefined = undefined;
  /** Of a probe: when its SYN went out, and until when at most it waits for a look at the others. */
  sentAt: Millis = 0;
  askedUntil: Millis = 0;
  /** It was opened to see whether the path of this one answers still. */
  probes: Subflow | undefined = undefined;

  constructor(facts: SubflowFacts) {
    this.state = facts.state;
    this.alive = facts.state !== "creating";
    this.path = facts.path;
    this.localId = facts.localId;
    this.remoteId = facts.remoteId;
    this.join = facts.join;
    this.initiated = facts.initiated;
    this.backup = facts.backup;
    this.backupTold = facts.backup;
  }

  /** The only way to another state. @throws AssertionError what happens to it cannot in this state */
  become(cause: Cause): void {
    const next = TRANSITIONS[this.state][cause];
    assert(next !== undefined, `a subflow that is ${this.state} cannot be ${cause}`);
    (this as { state: SubflowState }).state = next;
  }
}
