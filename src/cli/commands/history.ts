import { Chronicle, segmentsIn, toldOf } from "../../daemon/index.ts";
import { amountText } from "../../host/index.ts";
import { formatSocketAddress, type HistoryConnection, type Millis, type Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure } from "../failure.ts";
import { type Json, machine, renderJson } from "../json.ts";
import { wrapped } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { cleaned } from "../replay/clean.ts";
import { durationOf } from "../replay/duration.ts";
import { entriesOf } from "../replay/file.ts";
import { type History, ownHistory } from "../replay/own-history.ts";
import { ringIfAllowed } from "../replay/ring.ts";
import { Storyteller, type Told } from "../replay/story.ts";
import { clock } from "../replay/text.ts";
import { formatToken, tokenArgument } from "../words.ts";

const LAST_DEFAULT = "24h";
/** Lines of one connection's story; the last ones count. */
const STORY_MAX = 10_000;

/** `history [TOKEN]`: what became of connections, those that are over too, as far as the black box goes back; of others' programs, of their own. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  const { global, streams } = context;
  const since = Date.now() - durationOf(values.last ?? LAST_DEFAULT);
  const token = words[0] === undefined ? undefined : tokenArgument(words[0]);
  const directory = await ringIfAllowed(global.netns, true);
  const { connections, story, more } =
    directory === undefined
      ? await ownHistory({ since, token }, { netns: global.netns })
      : read(directory, since, token);
  if (token !== undefined && connections.length === 0) {
    const where = directory === undefined ? "among yours" : `in ${directory}`;
    throw failure(`Error: nothing is known of a connection ${formatToken(token)} ${where}.`);
  }
  if (global.json) {
    const shown = connections.map(connectionJson);
    const lines = story.map(({ time, kind, type, words: said }) => ({ time: iso(time), kind, type, words: said }));
    const all = { connections: shown, ...(token !== undefined && { story: lines }), ...(more > 0 && { more }) };
    streams.out(renderJson(machine(all) as Json, global.pretty));
    return EXIT.success;
  }
  if (connections.length === 0)
    streams.out(`no connection${directory === undefined ? " of yours" : ""} since ${clock(since)}\n`);
  if (more > 0) streams.out(`${more} older ones are left out: --last names a shorter time\n`);
  for (const each of connections)
    for (const line of wrapped(connectionLine(each), streams.width, 4)) streams.out(`${line}\n`);
  for (const { time, words: said, kind } of story)
    for (const line of wrapped(`  ${clock(time)}  ${said}`, streams.width, 27))
      streams.out(`${kind === "event" ? line : streams.paint("good", line)}\n`);
  return EXIT.success;
}

function read(directory: string, since: Millis, token: Token | undefined): History {
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
  const connections = chronicle.chapters
    .filter((each) => (chronicle.isOpen(each) || each.seen >= since) && (token === undefined || each.token === token))
    .map((each) => toldOf(each, chronicle.isOpen(each)));
  return { connections, story: story.slice(-STORY_MAX), more: 0 };
}

/** "2026-11-27 22:40:01.123  12.3 s  1b2c3d4e  10.0.1.1:40000 → 10.0.1.2:443, 2 subflows over ..." */
function connectionLine(connection: HistoryConnection): string {
  const { token, path, isOpen, began, ended, ways, subflows, lost, refused, bytesAtLeast } = connection;
  const start = began === undefined ? "before that".padEnd(23) : clock(began);
  const lasted = isOpen ? "open" : `${(((ended ?? 0) - (began ?? ended ?? 0)) / 1000).toFixed(1)} s`;
  const parts = [
    `${subflows} subflow${subflows === 1 ? "" : "s"} over ${ways.length} pair${ways.length === 1 ? "" : "s"} of addresses`,
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(bytesAtLeast > 0 ? [`at least ${amountText(bytesAtLeast)}`] : []),
  ];
  const ends = cleaned(`${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}`);
  return `${start}  ${(began === undefined && !isOpen ? "?" : lasted).padStart(10)}  ${formatToken(token)}  ${ends}: ${parts.join(", ")}`;
}

function connectionJson({ began, ended, ...rest }: HistoryConnection): object {
  return {
    ...rest,
    began: began === undefined ? undefined : iso(began),
    ended: ended === undefined ? undefined : iso(ended),
  };
}

function iso(time: Millis): string {
  return new Date(time).toISOString();
}
