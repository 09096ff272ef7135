import type { Decision } from "../../types/index.ts";
import type { Json } from "../json.ts";
import type { Streams } from "../streams.ts";
import { formatToken } from "../words.ts";

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
