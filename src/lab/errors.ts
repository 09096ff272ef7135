import { SubflowError } from "../types/index.ts";

/** Something about a lab: a topology that cannot be, a command that failed, a machine that does not allow namespaces. */
export class LabError extends SubflowError {}
