import { SubflowError } from "../types/index.ts";

/** What is read is no recording, or not one that this version can play. */
export class RecordingError extends SubflowError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "RECORDING", cause });
  }
}
