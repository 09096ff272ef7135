import { segmentsIn } from "../../daemon/index.ts";
import { amountText } from "../../host/index.ts";
import { formatSocketAddress, type Millis, type Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure } from "../failure.ts";
import { type Json, machine, renderJson } from "../json.ts";
import { wrapped } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { type Chapter, Chronicle } from "../replay/chronicle.ts";
import { cleaned } from "../replay/clean.ts";
import { durationOf } from "../replay/duration.ts";
import { entriesOf } from "../replay/file.ts";
import { ringDirectory } from "../replay/ring.ts";
import { Storyteller, type Told } from "../replay/story.ts";
import { clock } from "../replay/text.ts";
import { formatToken, tokenArgument } from "../words.ts";

const LAST_DEFAULT = "24h";
/** Lines of one connection's story; the last ones count. */
const STORY_MAX = 10_000;

/** `history [TOKEN]`: what became of connections, those that are over too, as far as the black box goes back. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  const { global, streams } = context;
  const since = Date.now() - durationOf(values.last ?? LAST_DEFAULT);
  const token = words[0] === undefined ? undefined : tokenArgument(words[0]);
  const directory = await ringDirectory(global.netns, true);
  const { chronicle, story } = read(directory, token);
  const chapters = chronicle.chapters.filter((each) => isWithin(chronicle, each, since) && isMeant(each, token));
  if (token !== undefined && chapters.length === 0)
    throw failure(`Error: nothing is known of a connection ${formatToken(token)} in ${directory}.`);
  if (global.json) {
    const shown = chapters.map((chapter) => chapterJson(chapter, chronicle));
    const lines = story.map(({ time, kind, type, words: said }) => ({ time: iso(time), kind, type, words: said }));
    streams.out(
      renderJson(
        machine(token === undefined ? { connections: shown } : { connections: shown, story: lines }) as Json,
        global.pretty,
      ),
    );
    return EXIT.success;
  }
  if (chapters.length === 0) streams.out(`no connection since ${clock(since)}\n`);
  for (const chapter of chapters)
    for (const line of wrapped(chapterLine(chapter, chronicle), streams.width, 4)) streams.out(`${line}\n`);
  for (const { time, words: said, kind } of story)
    for (const line of wrapped(`  ${clock(time)}  ${said}`, streams.width, 27))
      streams.out(`${kind === "event" ? line : streams.paint("good", line)}\n`);
  return EXIT.success;
}

function read(directory: string, token: Token | undefined): { chronicle: Chronicle; story: readonly Told[] } {
  const chronicle = new Chronicle();
  const storyteller = new Storyteller();
  let story: Told[] = [];
  for (const file of segmentsIn(directory)) {
    for (const entry of entriesOf(file, { allowsEmpty: true })) {
      chronicle.read(entry);
      if (token === undefined || entry.type === "damage") continue;
      story.push(...storyteller.tell(entry).filter((told) => told.token === token));
      if (story.length > 2 * STORY_MAX) story = story.slice(-STORY_MAX);
    }
  }
  return { chronicle, story: story.slice(-STORY_MAX) };
}

function isWithin(chronicle: Chronicle, chapter: Chapter, since: Millis): boolean {
  return chronicle.isOpen(chapter) || chapter.seen >= since;
}

function isMeant(chapter: Chapter, token: Token | undefined): boolean {
  return token === undefined || chapter.token === token;
}

/** "2026-11-27 22:40:01.123  12.3 s  1b2c3d4e  10.0.1.1:40000 → 10.0.1.2:443, 2 subflows over ..." */
function chapterLine(chapter: Chapter, chronicle: Chronicle): string {
  const { token, path, began, ended, ways, subflows, lost, refused, bytes } = chapter;
  const start = began === undefined ? "before that".padEnd(23) : clock(began);
  const lasted = chronicle.isOpen(chapter) ? "open" : `${(((ended ?? 0) - (began ?? ended ?? 0)) / 1000).toFixed(1)} s`;
  const carried = sum(bytes);
  const parts = [
    `${subflows} subflow${subflows === 1 ? "" : "s"} over ${ways.size} pair${ways.size === 1 ? "" : "s"} of addresses`,
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(carried > 0 ? [`at least ${amountText(carried)}`] : []),
  ];
  const ends = cleaned(`${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}`);
  return `${start}  ${(began === undefined && !chronicle.isOpen(chapter) ? "?" : lasted).padStart(10)}  ${formatToken(token)}  ${ends}: ${parts.join(", ")}`;
}

function chapterJson(chapter: Chapter, chronicle: Chronicle): object {
  const { token, path, began, ended, ways, subflows, lost, refused, bytes } = chapter;
  return {
    token,
    path,
    isOpen: chronicle.isOpen(chapter),
    began: began === undefined ? undefined : iso(began),
    ended: ended === undefined ? undefined : iso(ended),
    ways: [...ways],
    subflows,
    lost,
    refused,
    bytesAtLeast: sum(bytes),
  };
}

function sum(bytes: ReadonlyMap<string, number>): number {
  let all = 0;
  for (const each of bytes.values()) all += each;
  return all;
}

function iso(time: Millis): string {
  return new Date(time).toISOString();
}
