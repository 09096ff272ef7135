import { pathToFileURL } from "node:url";
import type { Policy } from "../engine/index.ts";
import { SubflowError } from "../types/index.ts";

/** A module that is no plug-in; the message says what is wrong and what to do. */
export class PluginError extends SubflowError {
  constructor(file: string, fault: string, cause?: unknown) {
    super(`${file}: ${fault}`, { code: "PLUGIN", cause });
  }
}

/**
 * Imports a module that exports `policy`.
 * @throws PluginError
 */
export async function loadPolicy(file: string): Promise<Policy> {
  let found: { readonly policy?: unknown };
  try {
    found = (await import(pathToFileURL(file).href)) as typeof found;
  } catch (error) {
    throw new PluginError(file, wordsOf(error), error);
  }
  const { policy } = found;
  if (typeof policy !== "object" || policy === null) throw new PluginError(file, "it exports no `policy`");
  const fault = faultOf(policy as Partial<Record<keyof Policy, unknown>>);
  if (fault !== undefined) throw new PluginError(file, fault);
  return policy as Policy;
}

function wordsOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ERR_UNKNOWN_FILE_EXTENSION")
    return "this Node does not read TypeScript (22.18 and newer do); build it, or write it as .mjs";
  return error instanceof Error ? message : "it threw something that is no Error";
}

function faultOf({
  name,
  plan,
  begin,
  measures,
  signals,
  tries,
}: Partial<Record<keyof Policy, unknown>>): string | undefined {
  if (typeof name !== "string" || name === "") return "its policy has no name";
  if (typeof plan !== "function") return "its policy has no function `plan`";
  if (begin !== undefined && typeof begin !== "function") return "`begin` of its policy is no function";
  if (tries === "once") return "policies that try once cannot be plug-ins: what they do depends on the moment";
  const isPace = typeof measures === "number" && Number.isFinite(measures) && measures >= MEASURES_MIN;
  if (measures !== undefined && !isPace) return `\`measures\` of its policy is no time of at least ${MEASURES_MIN} ms`;
  const areBounds = Array.isArray(signals) && signals.length <= SIGNALS_MAX && signals.every(Number.isFinite);
  if (signals !== undefined && !areBounds)
    return `\`signals\` of its policy is no list of at most ${SIGNALS_MAX} numbers (dBm)`;
  return undefined;
}

/** Bounds of Wi-Fi signals that a policy may want to hear of. */
const SIGNALS_MAX = 16;
/** Measuring more often than the paths are looked at tells nothing. */
const MEASURES_MIN = 50;
