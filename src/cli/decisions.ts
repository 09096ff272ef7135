import { changes } from "../client/index.ts";
import { type Decision, SubflowError } from "../types/index.ts";
import type { Json } from "./json.ts";
import type { Streams } from "./streams.ts";
import { formatToken } from "./words.ts";

/** Follows what the daemon of the namespace decides, until told to stop; where there is none, or it may not be asked, quietly nothing. */
export async function followDecisions(
  netns: string | undefined,
  on: { readonly decision: (decision: Decision) => void; readonly lost: (count: number) => void },
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const change of changes({ netns, kinds: ["decision"], signal })) {
      if (change.type === "lost") on.lost(change.count);
      if (change.type === "decision") on.decision(change.decision);
    }
  } catch (error) {
    // Who is there has nothing to say of it.
    if (!(error instanceof SubflowError)) throw error;
  }
}

/** One line of `monitor`, in the manner of the kernel's events. */
export function decisionLine({ token, text, because }: Decision, paint: Streams["paint"]): string {
  const name = paint("good", `[${"DECISION".padStart(16)}]`);
  const of = token === undefined ? "" : ` token=${formatToken(token)}`;
  return `${name}${of} ${text}, because: ${because}\n`;
}

/** One value of `-j monitor`. */
export function decisionJson({ type, token, text, because }: Decision): Json {
  const of = token === undefined ? {} : { token: `0x${token.toString(16)}` };
  return { decision: type, ...of, text, because };
}
