import type { ControlFailure } from "../types/index.ts";

/** Ends a request: with its result, or with a failure. To be called once; what comes later is nobody's. */
export type Answer = (result: unknown, failure?: ControlFailure) => void;

/** All that the server knows of whoever answers. */
export interface ControlService {
  /** Answers now or later. What it throws is answered as INTERNAL, to this client alone. */
  call(method: string, params: unknown, answer: Answer): void;
}
