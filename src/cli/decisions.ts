import { setTimeout as sleep } from "node:timers/promises";
import { ask, DaemonError, ProtocolError } from "../control/index.ts";
import { type ControlDecision, SubflowError } from "../types/index.ts";
import type { Json } from "./json.ts";
import type { Streams } from "./streams.ts";
import { formatToken } from "./words.ts";

/** A daemon may come at any time. Milliseconds. */
const AGAIN = 2000;

/** Follows what the daemon of the namespace decides, until told to stop; where there is none, or another path manager, quietly nothing. */
export async function followDecisions(
  netns: string | undefined,
  on: { readonly decision: (decision: ControlDecision) => void; readonly lost: (count: number) => void },
  signal: AbortSignal,
): Promise<void> {
  let after: number | undefined;
  while (!signal.aborted) {
    try {
      const { next, lost, decisions } = await ask("decisions", { after }, { netns, signal });
      if (lost > 0) on.lost(lost);
      for (const decision of decisions) on.decision(decision);
      after = next;
    } catch (error) {
      // Who is there has nothing to say of it; otherwise nobody is, or nobody any more.
      if (error instanceof DaemonError || error instanceof ProtocolError) return;
      if (!(error instanceof SubflowError)) throw error;
      after = undefined;
      await sleep(AGAIN, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** One line of `monitor`, in the manner of the kernel's events. */
export function decisionLine({ token, text, because }: ControlDecision, paint: Streams["paint"]): string {
  const name = paint("good", `[${"DECISION".padStart(16)}]`);
  const of = token === undefined ? "" : ` token=${formatToken(token)}`;
  return `${name}${of} ${text}, because: ${because}\n`;
}

/** One value of `-j monitor`. */
export function decisionJson({ type, token, text, because }: ControlDecision): Json {
  const of = token === undefined ? {} : { token: `0x${token.toString(16)}` };
  return { decision: type, ...of, text, because };
}
