/** Recordings, floor 3: what engines were told and what they did, as bytes, and played again. Pure. */
export * from "./alternative.ts";
export * from "./entry.ts";
export { isSame } from "./equal.ts";
export * from "./error.ts";
export { FORMAT, FRAME_MAX } from "./frame.ts";
export { AddressMask } from "./mask.ts";
export * from "./player.ts";
export * from "./reader.ts";
export { RecordingWriter } from "./writer.ts";
