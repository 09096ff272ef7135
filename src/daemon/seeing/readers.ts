import type { Answer, Asker } from "../../control/index.ts";
import {
  type ControlFailure,
  type ControlWatched,
  type Millis,
  USUAL_KINDS,
  type WatchKind,
} from "../../types/index.ts";
import type { Cursor } from "./cursor.ts";

/** Readers that wait at once; those of others than root and the daemon's user have places of their own. */
const WAITING_MAX = { trusted: 128, others: 64 } as const;
/** An answer is given after so long although nothing has happened: clients wait ten seconds. Milliseconds. */
export const WAIT_MAX: Millis = 5000;
/** So long at a time readers are told something, or one answer; events come in between. Milliseconds. */
const SLICE: Millis = 0.2;
/** After that, so many times as long as it took nobody is told anything: a fifth of a processor at most, whatever readers do. */
const REST = 4;
/**
 * When everybody has been told everything, nobody is told anything for so many times as long as that took: an event that comes meanwhile would wait, and not one in a
 * hundred is to. Where things happen one after the other, what is told together costs less, too, and what came and went is never told.
 */
const CALM = 100;
/** At least so long, and at most: people look at it. */
const GATHER = { min: 40, max: 400 } as const;
/** Somebody reads the state, page by page. */
const PAGE_REST: Millis = 5;

/** Somebody who asked to watch and was not answered yet. */
export interface Reader {
  cursor: Cursor;
  readonly kinds: ReadonlySet<WatchKind>;
  readonly token: number | undefined;
  /** Wants figures as they change. */
  readonly isPaced: boolean;
  readonly asker: Asker;
  readonly answer: Answer;
}

/** What may be told to one reader; `isEmpty`: it may wait, from `cursor` on. */
export interface Told {
  readonly cursor: Cursor;
  readonly isEmpty: boolean;
  /** More is there that it may be told at once. */
  readonly isPartial: boolean;
  readonly watched: () => ControlWatched;
}

export interface ReadersOptions {
  readonly now: () => Millis;
  /** Something is there that this reader was not told of. */
  readonly hasNews: (reader: Reader) => boolean;
  readonly tell: (reader: Reader) => Told;
}

/**
 * Who waits to be told something. Each is a request without its answer: there is no queue, and nothing is kept of whoever does not ask again.
 * Everybody is told in turn, in slices with rests.
 */
export class Readers implements Disposable {
  readonly #options: ReadersOptions;
  readonly #waiting = new Map<Reader, NodeJS.Timeout>();
  /** One of both, or none: the next turn. */
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextAt: Millis = 0;
  #restUntil: Millis = 0;
  /** The same where it presses. */
  #soonest: Millis = 0;
  /** To look at what is told may be news itself: after the rest. */
  #isTelling = false;
  #isWoken = false;
  /** Since everybody was told everything. */
  #spent: Millis = 0;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#unarm();
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  /** @returns why not */
  add(reader: Reader): ControlFailure | undefined {
    if (this.#isFull(reader.asker)) return TOO_MANY;
    this.#waiting.set(reader, setTimeout(() => this.#end(reader), WAIT_MAX).unref());
    this.wake();
    return undefined;
  }

  /** There may be something to be told. `isPressing`: what is kept until it is told may not be enough for the whole rest. */
  wake(isPressing = false): void {
    if (this.#waiting.size === 0) return;
    if (this.#isTelling) {
      this.#isWoken = true;
      return;
    }
    const at = isPressing ? this.#soonest : this.#restUntil;
    if ((this.#immediate ?? this.#timer) !== undefined && this.#nextAt <= at) return;
    this.#unarm();
    this.#nextAt = at;
    const rest = at - this.#options.now();
    // Behind the event that is being served.
    if (rest <= 0) this.#immediate = setImmediate(() => this.#turn());
    else this.#timer = setTimeout(() => this.#turn(), rest).unref();
  }

  #isFull({ isTrusted }: Asker): boolean {
    const places = isTrusted ? WAITING_MAX.trusted : WAITING_MAX.others;
    const taken = (): Reader[] => [...this.#waiting.keys()].filter(({ asker }) => asker.isTrusted === isTrusted);
    if (this.#waiting.size < places || taken().length < places) return false;
    for (const reader of taken()) if (!reader.asker.isThere) this.#forget(reader);
    return taken().length >= places;
  }

  #turn(): void {
    this.#unarm();
    const { now } = this.#options;
    const began = now();
    this.#isTelling = true;
    this.#isWoken = false;
    const { hasTold, isOver, isPartial } = this.#tellSome(began);
    this.#isTelling = false;
    // Whoever asks again and is told nothing costs nothing, and keeps nobody from being told what happens next.
    if (hasTold || this.#spent > 0) {
      const ended = now();
      this.#spent += ended - began;
      this.#soonest = ended + Math.max(PAGE_REST, REST * (ended - began));
      this.#restUntil = isOver && !isPartial ? ended + this.#calm() : this.#soonest;
    }
    if (!isOver || this.#isWoken) this.wake();
  }

  #tellSome(began: Millis): { hasTold: boolean; isOver: boolean; isPartial: boolean } {
    const { now, hasNews, tell } = this.#options;
    const is = { hasTold: false, isOver: true, isPartial: false };
    for (const reader of [...this.#waiting.keys()]) {
      if (!reader.asker.isThere) this.#forget(reader);
      else if (hasNews(reader)) {
        if (is.hasTold && now() - began >= SLICE) {
          is.isOver = false;
          break;
        }
        const told = tell(reader);
        is.hasTold = true;
        is.isPartial ||= told.isPartial;
        if (told.isEmpty) this.#wait(reader, told.cursor);
        else this.#answer(reader, told.watched());
        is.isOver &&= !(told.isEmpty && hasNews(reader));
      }
    }
    return is;
  }

  /** How long nobody is told anything, now that everybody was told everything. */
  #calm(): Millis {
    const spent = this.#spent;
    this.#spent = 0;
    return Math.max(Math.min(Math.max(GATHER.min, CALM * spent), GATHER.max), REST * spent);
  }

  /** It goes on from there, behind the others. */
  #wait(reader: Reader, cursor: Cursor): void {
    reader.cursor = cursor;
    const timer = this.#waiting.get(reader);
    this.#waiting.delete(reader);
    if (timer) this.#waiting.set(reader, timer);
  }

  #end(reader: Reader): void {
    this.#answer(reader, this.#options.tell(reader).watched());
  }

  #answer(reader: Reader, watched: ControlWatched): void {
    this.#forget(reader);
    reader.answer(watched);
  }

  #forget(reader: Reader): void {
    clearTimeout(this.#waiting.get(reader));
    this.#waiting.delete(reader);
  }

  #unarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }
}

const TOO_MANY: ControlFailure = { code: "BUSY", message: "as many watch as there is room for; try again" };

/** The kinds that are asked for. */
export function kindsOf(kinds: readonly WatchKind[] | undefined): ReadonlySet<WatchKind> {
  return new Set(kinds ?? USUAL_KINDS);
}
