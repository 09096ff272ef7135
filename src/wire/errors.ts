import { SubflowError } from "../types/index.ts";

/** Bytes that are no netlink message: what is wrong, at which offset, in what. The only error that decoding raises. */
export class CodecError extends SubflowError {
  readonly offset: number;
  constructor(problem: string, offset: number, what: string) {
    super(`${what}: ${problem} at byte ${offset}; the kernel and Subflow disagree on the format, please report it`, {
      code: "CODEC",
    });
    this.offset = offset;
  }
}
