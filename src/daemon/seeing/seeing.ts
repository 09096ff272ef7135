import { randomBytes } from "node:crypto";
import type { Answer, Asker, Parameters } from "../../control/index.ts";
import type { Action, ConnectionSnapshot, EngineEvent } from "../../engine/index.ts";
import { Pace } from "../../host-facts/index.ts";
import { type ConnectionLook, ConnectionReader, listSockets, type Readable } from "../../netlink/index.ts";
import {
  type Connection,
  type Millis,
  type MptcpEvent,
  SubflowError,
  type Token,
  type ToldHappening,
  type WatchedConnection,
  type WatchKind,
} from "../../types/index.ts";
import { translate } from "../translate.ts";
import { ChangeLog, type Since } from "./change-log.ts";
import { type Cursor, formatCursor, parseCursor } from "./cursor.ts";
import { Gone } from "./gone.ts";
import { isOfKernel } from "./happening.ts";
import { Happenings, KEPT_MAX } from "./happenings.ts";
import { Measurer } from "./measurer.ts";
import { Mirror, shown } from "./mirror.ts";
import { kindsOf, type Reader, Readers, type Told, WAIT_MAX } from "./readers.ts";

/** Connections and happenings of one answer: a millisecond, and some 100 kB. */
const PAGE = { connections: 64, happenings: 256 } as const;
/** So many happenings that were not told press: others are kept instead of them soon. */
const PRESSING = KEPT_MAX / 2;
/** Nobody asked for so long: nobody watches any more, and everything is forgotten. */
const WATCHED_FOR: Millis = 3 * WAIT_MAX;
/** Overruns come in rows: after one reading of everything the next waits so long. */
const RELOAD_GAP: Millis = 2000;
/** The pace of readers who see only what is theirs: everybody's connections are measured for them. */
const PACE_OF_OTHERS: Millis = 1000;
/** What a user without a name in this user namespace looks like: two of them are not the same. */
const OVERFLOW_UID = 65_534;

/** Where connections are read. */
export interface Sockets extends Disposable {
  /** All of them. */
  list(): Connection[];
  look(connections: readonly Readable[]): ConnectionLook[];
}

function openSockets(): Sockets {
  const reader = new ConnectionReader();
  return {
    list: () => listSockets(),
    look: (connections) => reader.look(connections),
    [Symbol.dispose]: () => reader[Symbol.dispose](),
  };
}

export interface SeeingOptions {
  readonly now: () => Millis;
  /** The kernel's sockets; opened where somebody watches. */
  readonly openSockets?: (() => Sockets) | undefined;
  /** What the userspace path manager knows of a connection. */
  readonly managed: (token: Token) => ConnectionSnapshot | undefined;
  /** Somebody begins to watch, or nobody does any more: only in between {@link Seeing.onEvents} and {@link Seeing.note} need be called. */
  readonly onWatched: (isWatched: boolean) => void;
}

/** What an event led to. */
interface NotedTurn {
  readonly event: EngineEvent;
  readonly actions: readonly Action[];
  readonly at: Millis;
}

/** That, or a change of the host. */
type Noted = NotedTurn | { readonly type: string; readonly text: string; readonly at: Millis };

/**
 * What the daemon lets others see: state first, then changes. Everything that changes has a number; a reader asks for what came after its
 * own. Of a connection only the last change counts, so a slow reader misses steps and never the end. Nothing is kept while nobody watches.
 */
export class Seeing implements Disposable {
  readonly #options: SeeingOptions;
  readonly #life = randomBytes(6).toString("hex");
  readonly #mirror = new Mirror();
  readonly #changes = new ChangeLog();
  /** Changes and new figures. */
  readonly #figures = new ChangeLog();
  readonly #happenings = new Happenings();
  readonly #gone = new Gone();
  readonly #readers: Readers;
  readonly #measurer: Measurer;
  readonly #reload: Pace;
  readonly #noted: Noted[] = [];
  #noting: NodeJS.Immediate | undefined;
  #open: Sockets | undefined;
  #watched: NodeJS.Timeout | undefined;
  /** The happening that is told next, to whoever is told last. */
  #told = 0;
  /** Of the last change. */
  #number = 0;

  constructor(options: SeeingOptions) {
    this.#options = options;
    const { now } = options;
    this.#readers = new Readers({
      now,
      hasNews: (reader) => this.#hasNews(reader),
      tell: (reader) => this.#tell(reader),
    });
    const tokens = (): Iterable<Token> => this.#mirror.connections.keys();
    this.#measurer = new Measurer({ now, tokens, look: (some) => this.#look(some), waits: WAIT_MAX });
    this.#reload = new Pace({ now, gap: RELOAD_GAP, run: () => this.#onReload() });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#watched);
    clearImmediate(this.#noting);
    this.#reload[Symbol.dispose]();
    this.#readers[Symbol.dispose]();
    this.#measurer[Symbol.dispose]();
    this.#open?.[Symbol.dispose]();
  }

  /** Answers a request to watch, as soon as there is something to be told. */
  watch({ after, kinds, token, pace }: Parameters["watch"], answer: Answer, asker: Asker): void {
    const failed = this.#beWatched();
    if (failed) return answer(null, { code: "INTERNAL", message: `nothing can be watched: ${failed.message}` });
    if (pace !== undefined) this.#measurer.want(asker.isTrusted ? pace : Math.max(pace, PACE_OF_OTHERS));
    const cursor = this.#cursorOf(after);
    const reader = { cursor, kinds: kindsOf(kinds), token, isPaced: pace !== undefined, asker, answer };
    const refused = this.#readers.add(reader);
    if (refused) answer(null, refused);
  }

  /** What the kernel told. */
  onEvents(events: readonly MptcpEvent[]): void {
    if (this.#watched === undefined) return this.#happenings.pass(events.length);
    // What was done before they came, and for other reasons, is first; what was done about them, in the turn that is over now, came later.
    const isEarlier = (noted: Noted): boolean => !("event" in noted) || !isOfKernel(noted.event);
    const own = this.#noted.findIndex((noted) => !isEarlier(noted));
    this.#take(this.#noted.splice(0, own < 0 ? this.#noted.length : own));
    const at = this.#noted[0]?.at ?? this.#options.now();
    for (const event of events) {
      this.#happenings.event(at, event);
      const translated = translate(event);
      if (translated) this.#apply(translated);
    }
    this.#takeNotes();
  }

  /** The kernel dropped events: what there is is read anew. */
  onOverrun(): void {
    if (this.#watched === undefined) return;
    this.#happenings.miss();
    this.#reload.ask();
  }

  /** What an event has led to. Looked at behind the turn: whoever notes has work to do, and an event comes before what it led to. */
  note(event: EngineEvent, actions: readonly Action[]): void {
    if (this.#watched === undefined) return;
    this.#add({ event, actions, at: this.#options.now() });
  }

  /** What was changed of the host. */
  noteHost(type: string, text: string): void {
    if (this.#watched === undefined) return;
    this.#add({ type, text, at: this.#options.now() });
  }

  #add(noted: Noted): void {
    this.#noted.push(noted);
    this.#noting ??= setImmediate(() => this.#takeNotes());
  }

  /** Whether a connection is of that user, by the kernel's word of now. */
  isOf(uid: number, token: Token): boolean {
    const looks = this.#ask((sockets) => sockets.look([{ token, subflows: [] }]));
    return !(looks instanceof SubflowError) && isSameUser(uid, looks[0]?.uid);
  }

  /** @returns why nothing can be seen */
  #beWatched(): SubflowError | undefined {
    if (this.#watched) {
      this.#watched.refresh();
      return undefined;
    }
    const failed = this.#load();
    if (failed) return failed;
    this.#watched = setTimeout(() => this.#endWatch(), WATCHED_FOR).unref();
    this.#options.onWatched(true);
    return undefined;
  }

  #endWatch(): void {
    this.#watched = undefined;
    this.#options.onWatched(false);
    this.#mirror.clear();
    this.#changes.clear();
    this.#figures.clear();
    this.#happenings.clear();
    this.#gone.clear(++this.#number);
    this.#open?.[Symbol.dispose]();
    this.#open = undefined;
  }

  #takeNotes(): void {
    clearImmediate(this.#noting);
    this.#noting = undefined;
    this.#take(this.#noted.splice(0));
    this.#readers.wake(this.#happenings.next - this.#told >= PRESSING);
  }

  #take(some: readonly Noted[]): void {
    for (const noted of some) {
      if ("event" in noted) this.#takeNote(noted);
      else this.#happenings.ofHost(noted.type, noted.text, noted.at);
    }
  }

  #takeNote({ event, actions, at }: NotedTurn): void {
    for (const action of actions) {
      if (!this.#happenings.decision(at, action, event.type)) continue;
      if ("token" in action && action.token !== undefined) this.#touch(action.token);
    }
    // What is planned for a connection may show although nothing is asked of the kernel.
    if ("token" in event && event.type !== "connection.measured") this.#touch(event.token);
  }

  /** @returns why it failed: then everything stays as it was */
  #load(): SubflowError | undefined {
    const all = this.#ask((sockets) => sockets.list().filter(({ state }) => state !== "syn-sent"));
    if (all instanceof SubflowError) return all;
    for (const token of this.#mirror.load(all)) this.#onGone(token, undefined);
    for (const { token } of all) this.#touch(token);
    this.#readers.wake();
    return undefined;
  }

  /** What a system call that fails is to those who only look: something that they do not see. The daemon has no part in it. */
  #ask<T>(question: (sockets: Sockets) => T): T | SubflowError {
    try {
      this.#open ??= (this.#options.openSockets ?? openSockets)();
      return question(this.#open);
    } catch (error) {
      if (error instanceof SubflowError) return error;
      throw error;
    }
  }

  #apply(event: EngineEvent): void {
    if (event.type === "connection.closed") {
      const uid = this.#mirror.connections.get(event.token)?.uid;
      this.#mirror.apply(event);
      this.#onGone(event.token, uid);
    } else if (this.#mirror.apply(event) && "token" in event) this.#touch(event.token);
  }

  /** What was lost is not known before it works. */
  #onReload(): void {
    if (this.#watched && this.#load()) this.#reload.ask();
  }

  #onGone(token: Token, uid: number | undefined): void {
    this.#changes.drop(token);
    this.#figures.drop(token);
    this.#gone.add({ number: ++this.#number, token, uid });
  }

  #touch(token: Token): void {
    if (!this.#mirror.connections.has(token)) return;
    this.#changes.touch(token, ++this.#number);
    this.#figures.touch(token, this.#number);
  }

  /** Measures; what is new is new for those who want figures. */
  #look(tokens: readonly Token[]): void {
    const readable = tokens.flatMap((token) => this.#mirror.readable(token) ?? []);
    if (readable.length === 0) return;
    const at = this.#options.now();
    const looks = this.#ask((sockets) => sockets.look(readable));
    if (looks instanceof SubflowError) return;
    for (const look of looks) {
      // What was never measured was never told: who is to hear of it will.
      const isFirst = this.#mirror.connections.get(look.token)?.measuredAt === undefined;
      if (this.#mirror.measured(look, at) && !isFirst) this.#figures.touch(look.token, ++this.#number);
    }
    this.#readers.wake();
  }

  #cursorOf(after: string | undefined): Cursor {
    const fresh = { change: 0, happening: this.#happenings.next, isReset: true };
    if (after === undefined) return fresh;
    const parsed = parseCursor(this.#life, after);
    const isPossible = parsed && parsed.change <= this.#number && parsed.happening <= this.#happenings.next;
    if (!isPossible) return fresh;
    // Too much is gone since: what it has cannot be told from what it lacks.
    if (parsed.change < this.#gone.knownFrom) return { change: 0, happening: parsed.happening, isReset: true };
    return { ...parsed, isReset: false };
  }

  #hasNews({ cursor, kinds }: Reader): boolean {
    if (cursor.happening < this.#happenings.next && wantsHappenings(kinds)) return true;
    // Who wants no connections is told once where it begins.
    return cursor.isReset || (kinds.has("connection") && cursor.change < this.#number);
  }

  #tell(reader: Reader): Told {
    const { cursor, kinds } = reader;
    const state = kinds.has("connection") ? this.#state(reader) : NO_STATE;
    const isComplete = state.upTo === Number.POSITIVE_INFINITY;
    const change = isComplete ? this.#number : state.upTo;
    // State first: what happened since is told when the reader knows what it happened to.
    const news = isComplete ? this.#news(reader) : { happenings: [], next: cursor.happening, lost: 0 };
    const { connections, gone } = state;
    const { happenings, lost, next: happening } = news;
    const isEmpty =
      connections.length + gone.length + happenings.length + lost === 0 && !(cursor.isReset && isComplete);
    return {
      cursor: { change, happening, isReset: cursor.isReset },
      isEmpty,
      isPartial: !isComplete || happening < this.#happenings.next,
      watched: () => ({
        next: formatCursor(this.#life, { change, happening, isReset: false }),
        reset: cursor.isReset,
        isComplete: isComplete && happening === this.#happenings.next,
        at: this.#options.now(),
        connections,
        gone,
        happenings,
        lost,
      }),
    };
  }

  /** A page of what changed, and what is gone as far as that page goes. */
  #state(reader: Reader): { connections: WatchedConnection[]; gone: Token[]; upTo: number } {
    const { cursor, isPaced, asker } = reader;
    const { lines, upTo } = this.#linesOf(reader, isPaced ? this.#figures : this.#changes);
    const tokens = lines.map(({ token }) => token);
    // Whose they are must be known, and what is shown once is measured once.
    this.#look(tokens.filter((token) => this.#mirror.connections.get(token)?.measuredAt === undefined));
    const isTheirs = (uid: number | undefined): boolean => asker.isTrusted || isSameUser(asker.uid, uid);
    const seen = tokens
      .flatMap((token) => this.#mirror.connections.get(token) ?? [])
      .filter(({ uid }) => isTheirs(uid));
    const isMeant = (token: Token): boolean => reader.token === undefined || reader.token === token;
    const gone = cursor.isReset && cursor.change === 0 ? [] : this.#gone.between(cursor.change, upTo);
    return {
      connections: seen.map((each) => shown(each, this.#options.managed(each.token))),
      gone: gone
        .filter(({ token, uid }) => isMeant(token) && isTheirs(uid) && !this.#mirror.connections.has(token))
        .map(({ token }) => token),
      upTo,
    };
  }

  #linesOf({ token, cursor }: Reader, log: ChangeLog): Since {
    if (token === undefined) return log.since(cursor.change, PAGE.connections);
    const number = log.numberOf(token);
    return { lines: number > cursor.change ? [{ token, number }] : [], upTo: Number.POSITIVE_INFINITY };
  }

  #news(reader: Reader): { happenings: ToldHappening[]; next: number; lost: number } {
    const { kinds, token, cursor, asker } = reader;
    if (!wantsHappenings(kinds)) return { happenings: [], next: this.#happenings.next, lost: 0 };
    const isShown = (its: Token | undefined): boolean =>
      (token === undefined || token === its) && this.#maySee(asker, its);
    const news = this.#happenings.from(cursor.happening, PAGE.happenings, { kinds, isShown });
    this.#told = news.next;
    return news;
  }

  #maySee({ isTrusted, uid }: Asker, token: Token | undefined): boolean {
    if (isTrusted) return true;
    if (token === undefined) return false;
    return isSameUser(uid, this.#ownerOf(token));
  }

  /** Whoever wants no connections has them measured by nobody, and whose one is shows only then. */
  #ownerOf(token: Token): number | undefined {
    const seen = this.#mirror.connections.get(token);
    if (seen && seen.measuredAt === undefined && seen.uid === undefined) this.#look([token]);
    return seen?.uid ?? this.#gone.uidOf(token);
  }
}

function wantsHappenings(kinds: ReadonlySet<WatchKind>): boolean {
  return kinds.has("event") || kinds.has("decision") || kinds.has("kernel");
}

const NO_STATE = { connections: [], gone: [], upTo: Number.POSITIVE_INFINITY };

function isSameUser(asker: number, owner: number | undefined): boolean {
  return owner !== undefined && owner === asker && asker !== OVERFLOW_UID;
}
