import type { ControlFailure } from "../types/index.ts";

/** Ends a request: with its result, or with a failure. To be called once; what comes later is nobody's. */
export type Answer = (result: unknown, failure?: ControlFailure) => void;

/** Who asks. */
export interface Asker {
  /** The kernel's word for it (SO_PEERCRED). */
  readonly uid: number;
  /** Root, the daemon's user or its group: may do everything. Others see what is theirs. */
  readonly isTrusted: boolean;
  /** False: gone, nothing that it asked is read any more. */
  readonly isThere: boolean;
}

/** All that the server knows of whoever answers. */
export interface ControlService {
  /** Answers now or later. What it throws is answered as INTERNAL, to this client alone. */
  call(method: string, params: unknown, answer: Answer, asker: Asker): void;
}
