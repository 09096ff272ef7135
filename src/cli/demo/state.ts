import type { Stall } from "../../lab/index.ts";
import type { Millis, Token } from "../../types/index.ts";

/** Who manages the paths: our daemon on both hosts, or the in-kernel path manager. */
export type ManagerName = "subflow" | "kernel";

/** Who a line of the demo is about: what the demo did, our daemon did, the kernel reported, was seen in the traffic. */
export type Source = "demo" | "subflow" | "kernel" | "traffic";

/** One line of the demo's story. */
export interface DemoEvent {
  /** Since the demo began. */
  readonly at: Millis;
  readonly source: Source;
  readonly text: string;
  /** Received over each path until then. */
  readonly bytes: readonly number[];
}

/** One of the two paths. */
export interface DemoPath {
  readonly name: string;
  /** Bits a second, each way. */
  readonly rate: number;
  readonly local: string;
  readonly remote: string;
  isUp: boolean;
  /** What the kernel says of the subflow: "initial", "backup", or "-" before there is one. */
  role: string;
  bytes: number;
  /** Bits a second, over the last half second. */
  throughput: number;
}

/** The parts of the run, by what the first path does. */
export const PHASES = ["both paths up", "wifi cut", "wifi back"] as const;

/** Stalls of the application in one part of the run. */
export interface PhaseStalls {
  readonly phase: (typeof PHASES)[number];
  readonly longest: Millis;
}

/** Everything that the demo shows, while it runs and at the end. */
export interface DemoState {
  readonly release: string;
  readonly manager: ManagerName;
  readonly goal: number;
  readonly paths: readonly [DemoPath, DemoPath];
  readonly events: DemoEvent[];
  token: Token | undefined;
  elapsed: Millis;
  received: number;
  stalls: readonly Stall[];
}

/** How fast things went on, from the demo's own act to what the client saw. */
export interface DemoDelays {
  /** From the cut to the first data over the other path. */
  readonly otherPath: Millis | undefined;
  /** From the return of wifi to the first data over it. */
  readonly back: Millis | undefined;
}

/** What came out. */
export interface DemoResult {
  readonly state: DemoState;
  readonly isIntact: boolean;
  readonly duration: Millis;
  readonly stalls: readonly PhaseStalls[];
  readonly delays: DemoDelays;
  /** What the connection could have had in the end and had not, and why: from the path manager. */
  readonly leftOut: readonly string[];
  /** Kernel events between the cut and the return. */
  readonly kernelEventsWhileCut: number;
  /** Counters of both hosts that tell how the data moved. */
  readonly counters: readonly { readonly name: string; readonly value: number; readonly meaning: string }[];
}

/** Where the demo shows itself. */
export interface DemoView {
  /** Something happened; it is the last of `state.events`. */
  event(state: DemoState): void;
  /** Some time has passed. */
  sample(state: DemoState): void;
}
