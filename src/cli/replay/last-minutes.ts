import { readFileSync } from "node:fs";
import { segmentsIn } from "../../daemon/index.ts";
import { RecordingReader } from "../../recording/index.ts";
import { type Millis, SubflowError } from "../../types/index.ts";
import { formatToken } from "../words.ts";
import { Part, ringDirectory, since } from "./ring.ts";
import { Storyteller, type Told } from "./story.ts";

/** What is looked back at, and how many lines of it a report has. */
const LAST: Millis = 10 * 60_000;
const LINES_MAX = 500;

/** What happened in the last minutes, a line each, or why that cannot be told. */
export type LastMinutes = string | readonly string[];

/** Reads the black box. @param now milliseconds since 1970 */
export async function lastMinutes(now: Millis): Promise<LastMinutes> {
  try {
    return tell(await ringDirectory(undefined, true), now);
  } catch (error) {
    if (error instanceof SubflowError) return error.message.replace(/^Error: /, "");
    if (error instanceof Error && "code" in error) return error.message;
    throw error;
  }
}

function tell(directory: string, now: Millis): LastMinutes {
  const parts = segmentsIn(directory).map((path) => new Part(path));
  const wanted = since(parts, now - LAST).map(({ path }) => path);
  for (const part of parts) part[Symbol.dispose]();
  if (wanted.length === 0) return `nothing is recorded in ${directory}`;
  const storyteller = new Storyteller();
  const lines: Told[] = [];
  for (const path of wanted) {
    const reader = new RecordingReader();
    for (const entries of [reader.push(readFileSync(path)), reader.end()])
      for (const entry of entries) if (entry.type !== "damage") lines.push(...storyteller.tell(entry));
  }
  const recent = lines.filter(({ time }) => time >= now - LAST);
  const shown = recent.slice(-LINES_MAX).map(({ time, token, words }) => {
    const name = token === undefined ? "host" : formatToken(token);
    return `${((time - now) / 1000).toFixed(3)} s  ${name}  ${words}`;
  });
  const earlier = recent.length - shown.length;
  return earlier > 0 ? [`${earlier} earlier lines are left out`, ...shown] : shown;
}
