import { translate } from "../../daemon/index.ts";
import type { Beginning, Damage, Entry } from "../../recording/index.ts";
import { type Difference, Player } from "../../recording/index.ts";
import type { Millis } from "../../types/index.ts";
import { cleaned } from "./clean.ts";
import { Lanes } from "./lanes.ts";
import { Storyteller, type Told } from "./story.ts";

/** Differences, and lines of a story, that are kept; the others are counted. */
const KEPT_MAX = 1000;

/** One daemon's life in a recording. */
export interface LifeShown {
  readonly version: string;
  readonly kernel: string;
  readonly pathManager: "kernel" | "userspace";
  /** It begins with the daemon, and not in the middle. */
  readonly isWhole: boolean;
  /** Addresses are not those that there were. */
  readonly isMasked: boolean;
  /** Milliseconds since 1970. */
  readonly from: Millis;
  to: Millis;
}

/** A difference in words. */
export interface DifferenceShown {
  readonly time: Millis;
  readonly cause: string;
  readonly done: readonly string[];
  readonly planned: readonly string[];
  readonly isUnsure: boolean;
}

/** A recording against what this version plans. */
export interface Compared {
  readonly player: Player;
  readonly lives: readonly LifeShown[];
  readonly differences: readonly DifferenceShown[];
  readonly damages: readonly Damage[];
  readonly story: readonly Told[];
  /** Lines of the story that are left out. */
  readonly untold: number;
  /** Subflows over time, as it was; empty without a story. */
  readonly lanes: Lanes;
  /** The time that `until` was reached; undefined: the recording ended before. */
  readonly stoppedAt: Millis | undefined;
}

export interface CompareOptions {
  /** Stop before the first entry later than so many milliseconds after the beginning. */
  readonly until?: Millis | undefined;
  /** Keep a story of so many lines. */
  readonly told?: number | undefined;
  /** Called before each entry is played. */
  readonly onEntry?: ((entry: Entry | Damage) => void) | undefined;
}

/** Plays a recording to its end, or up to a moment. */
export function compare(
  entries: Iterable<Entry | Damage>,
  { until, told = 0, onEntry }: CompareOptions = {},
): Compared {
  const storyteller = new Storyteller();
  const lives: LifeShown[] = [];
  const differences: DifferenceShown[] = [];
  const damages: Damage[] = [];
  const story: Told[] = [];
  const lanes = new Lanes();
  let untold = 0;
  const onDifference = (difference: Difference): void => {
    if (differences.length < KEPT_MAX) differences.push(shown(difference, storyteller));
  };
  const player = new Player({ onDifference });
  let began: Millis | undefined;
  let stoppedAt: Millis | undefined;
  for (const entry of entries) {
    onEntry?.(entry);
    if (entry.type === "damage") {
      if (damages.length < KEPT_MAX) damages.push(entry);
      player.play(entry);
      continue;
    }
    const before = player.life;
    const lines = storyteller.tell(entry);
    const time = storyteller.timeOf(entry.at);
    began ??= time;
    if (until !== undefined && time - began > until) {
      stoppedAt = time;
      break;
    }
    player.play(entry);
    if (player.life && player.life !== before) lives.push(lifeOf(player.life.beginning, time));
    const life = lives.at(-1);
    if (life) life.to = time;
    if (told > 0) draw(lanes, entry, time, player.life?.beginning.pathManager === "kernel");
    for (const line of lines) {
      if (story.length < told) story.push(line);
      else untold++;
    }
  }
  return { player, lives, differences, damages, story, untold, lanes, stoppedAt };
}

/** Where the in-kernel path manager is in charge, the host alone hears of connections. */
function draw(lanes: Lanes, entry: Entry, time: Millis, isKernel: boolean): void {
  if (entry.type === "begin" && entry.part === 0) lanes.forget();
  if (entry.type === "event") lanes.event(entry.event, time);
  if (entry.type !== "fact" || entry.fact.type !== "events" || !isKernel) return;
  for (const each of entry.fact.events) {
    const event = translate(each);
    if (event) lanes.event(event, time);
  }
}

type AboutLife = Pick<Beginning, "version" | "kernel" | "pathManager" | "part" | "isMasked">;

function lifeOf({ version, kernel, pathManager, part, isMasked = false }: AboutLife, time: Millis): LifeShown {
  return {
    version: cleaned(version),
    kernel: cleaned(kernel),
    pathManager,
    isWhole: part === 0,
    isMasked,
    from: time,
    to: time,
  };
}

function shown({ at, cause, done, planned, isUnsure }: Difference, storyteller: Storyteller): DifferenceShown {
  const words = (actions: Difference["done"]): string[] => actions.map((action) => JSON.stringify(cleaned(action)));
  return {
    time: storyteller.timeOf(at),
    cause: cleaned(cause.type),
    done: words(done),
    planned: words(planned),
    isUnsure,
  };
}
