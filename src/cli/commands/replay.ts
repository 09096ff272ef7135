import { closeSync, constants, openSync, statSync, writeFileSync } from "node:fs";
import type { ConnectionExplanation, Engine } from "../../engine/index.ts";
import type { HostEngine } from "../../host/index.ts";
import type { Damage, Entry, Otherwise } from "../../recording/index.ts";
import type { Millis } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument, wrongArgument } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { cleaned } from "../replay/clean.ts";
import { type Compared, compare } from "../replay/compared.ts";
import { entriesOf } from "../replay/file.ts";
import { page } from "../replay/html.ts";
import { momentJson, replayJson } from "../replay/json.ts";
import { otherwiseOf } from "../replay/otherwise.ts";
import { type SideBySide, SideBySideMaker } from "../replay/side-by-side.ts";
import { comparedText, momentText, seconds, sideBySideText, storyText } from "../replay/text.ts";

/** Lines of a story that are kept. */
const STORY_MAX = 10_000;
/** Connections that are explained. */
const CONNECTIONS_MAX = 50;
/** Some ten thousand entries are played a second: what takes longer is better played in parts. Milliseconds. */
const TIME_MAX = 600_000;
/** The clock is asked after so many entries. */
const LOOK = 4096;

/** `replay FILE`: plays a recording, says whether this version would do the same, and what would have been done otherwise. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const [file] = words;
  if (file === undefined) throw missingArgument("FILE");
  const { global, streams } = context;
  const until = values.at === undefined ? undefined : momentOf(values.at);
  const size = statSync(file).size;
  const wantsStory = values.events !== undefined || values.html !== undefined;
  const maker = new Maker(values);
  const compared = compare(limited(entriesOf(file)), {
    until,
    told: wantsStory ? STORY_MAX : 0,
    onEntry: (entry) => maker.play(entry),
  });
  if (compared.lives.length === 0) throw failure(`Error: ${file} has nothing that plays: it is cut off too early.`);
  for (const { at, reason } of compared.damages) streams.err(`Warning: ${file}: at byte ${at}: ${reason}.\n`);
  const { lost } = compared.player.played;
  if (lost > 0) streams.err(`Warning: ${file}: ${lost} entries could not be written by the daemon.\n`);
  const began = compared.lives[0]?.from ?? 0;
  const side = maker.result;
  if (until !== undefined && compared.stoppedAt === undefined)
    streams.err(
      `Warning: ${file} ends after ${seconds((compared.lives.at(-1)?.to ?? 0) - began)}; that is what is shown.\n`,
    );
  if (values.html !== undefined) write(values.html, page(file, compared, side, maker.what));
  if (global.json) {
    const moment = until === undefined ? undefined : momentJson(...momentIn(compared, until + began));
    streams.out(
      renderJson(
        machine({ ...replayJson(file, size, compared, side, wantsStory), ...(moment && { moment }) }),
        global.pretty,
      ),
    );
  } else {
    if (values.events !== undefined) streams.out(storyText(compared.story, compared.untold, began, streams));
    streams.out(comparedText(file, size, compared, streams));
    if (side) streams.out(`\n${sideBySideText(side, began, streams)}`);
    if (until !== undefined) {
      const { plan, connections, more } = momentIn(compared, until + began)[0];
      streams.out(
        `\n${streams.paint("bold", `At ${seconds(until)}`)}\n${momentText(plan, connections, more, streams)}`,
      );
    }
    if (values.html !== undefined) streams.err(`${values.html} is written.\n`);
  }
  const { differences, unsure } = compared.player.played;
  return differences > unsure ? EXIT.warnings : EXIT.success;
}

/** Knows what is to be otherwise from the first beginning on, for rules have their times. */
class Maker {
  readonly #values: Readonly<Record<string, string | undefined>>;
  #maker: SideBySideMaker | undefined;

  constructor(values: Readonly<Record<string, string | undefined>>) {
    this.#values = values;
    // What is wrong with the words is said before anything is read.
    this.#otherwise(0);
  }

  /** "policy fullmesh", "the configuration x.yaml", or both. */
  get what(): string {
    const { policy, config } = this.#values;
    const parts = [config && `the configuration ${config}`, policy && `policy ${policy}`];
    return parts.filter((part) => part !== undefined).join(" and ");
  }

  get result(): SideBySide | undefined {
    return this.#maker?.result;
  }

  play(entry: Entry | Damage): void {
    if (entry.type === "begin" && !this.#maker) {
      const otherwise = this.#otherwise(entry.epoch);
      if (!otherwise) return;
      if (entry.pathManager === "kernel" && this.#values.config === undefined)
        throw failure("Error: the in-kernel path manager was in charge: it has no policies; try --config.");
      this.#maker = new SideBySideMaker(otherwise);
    }
    this.#maker?.play(entry);
  }

  #otherwise(time: Millis): Otherwise | undefined {
    const { policy, config } = this.#values;
    return otherwiseOf({ policy, config }, time);
  }
}

function* limited(entries: Iterable<Entry | Damage>): Generator<Entry | Damage> {
  const end = performance.now() + TIME_MAX;
  let count = 0;
  for (const entry of entries) {
    if (++count % LOOK === 0 && performance.now() > end)
      throw failure(`Error: after ${TIME_MAX / 1000} s it has not come to its end: play a part of it.`);
    yield entry;
  }
}

/** What is known at the end of what was played. */
export interface MomentShown {
  readonly plan: HostEngine["plan"];
  readonly connections: readonly ConnectionExplanation[];
  readonly more: number;
}

/** @param time of day */
function momentIn({ player }: Compared, time: Millis): [MomentShown] {
  const life = player.life;
  const { engine, host, beginning } = life ?? {};
  const at = beginning ? Math.max(player.played.to, beginning.at + time - beginning.epoch) : 0;
  const tokens = engine?.tokens ?? [];
  const connections = tokens.slice(0, CONNECTIONS_MAX).flatMap((token) => why(engine, token, at));
  return [{ plan: cleaned(host?.plan), connections, more: tokens.length - connections.length }];
}

function why(engine: Engine | undefined, token: number, at: Millis): ConnectionExplanation[] {
  const explained = engine?.why(token, at);
  return explained ? [cleaned(explained)] : [];
}

/** "12.5s" from the beginning. */
function momentOf(text: string): Millis {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)$/.exec(text.trim());
  const factor = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 }[match?.[2] ?? ""];
  if (!match || factor === undefined)
    throw wrongArgument(text, 'a moment is "12.5s", "300ms" or "5m" from the beginning');
  return Number(match[1]) * factor;
}

/** An existing file of that name is not ours to fill by a link. */
function write(file: string, text: string): void {
  const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
  const fd = openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
