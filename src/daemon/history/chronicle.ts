import type { ConnectionMeasured, ConnectionSnapshot, EngineEvent } from "../../engine/index.ts";
import type { Damage, Entry } from "../../recording/index.ts";
import { type Connection, type Millis, type Path, type Token, unmap } from "../../types/index.ts";
import { translate } from "../translate.ts";

/** Connections that are remembered; of those that are over the oldest make room. */
const KEPT_MAX = 100_000;
/** What users without a name in this user namespace look like: two of them are not the same. */
const OVERFLOW_UID = 65_534;

/** What became of one connection. Times are milliseconds since 1970. */
export interface Chapter {
  readonly token: Token;
  readonly path: Path;
  /** undefined: before the black box tells of it. */
  began: Millis | undefined;
  /** undefined: it is there still, or nobody knows. */
  ended: Millis | undefined;
  /** Between which addresses it had subflows, the initial ones first. */
  readonly ways: Set<string>;
  /** Subflows that were established, the initial one included. */
  subflows: number;
  /** Of them those that ended with an error, */
  lost: number;
  /** and joins that were refused. */
  refused: number;
  /** That both sides have sent, as far as it was measured: at least so many. */
  readonly bytes: Map<string, number>;
  seen: Millis;
  /** When it was first told of. */
  readonly first: Millis;
  /** Whose it is (the socket's uid); undefined: it was gone before it was asked for. */
  uid: number | undefined;
}

/** Whether a connection is that user's. Who is nobody in particular has none. */
export function isOf(uid: number, chapter: Chapter): boolean {
  return chapter.uid === uid && uid !== OVERFLOW_UID;
}

/** Reads recordings for what became of connections, those that are over too. */
export class Chronicle {
  readonly #open = new Map<Token, Chapter>();
  readonly #over: Chapter[] = [];
  #begin = { epoch: 0, at: 0 };
  #isKernel = false;
  readonly #isKept: (chapter: Chapter) => boolean;
  readonly #keptMax: number;
  /** Connections that were left out. */
  more = 0;

  /**
   * @param isKept which are remembered when they are over
   * @param keptMax how many of them, twice as many at times
   */
  constructor(isKept: (chapter: Chapter) => boolean = () => true, keptMax = KEPT_MAX) {
    this.#isKept = isKept;
    this.#keptMax = keptMax;
  }

  /** In the order of their beginning. */
  get chapters(): readonly Chapter[] {
    return [...this.#over, ...this.#open.values()].sort((a, b) => (a.began ?? 0) - (b.began ?? 0) || a.seen - b.seen);
  }

  /** Is it there, as far as was read? */
  isOpen(chapter: Chapter): boolean {
    return this.#open.get(chapter.token) === chapter;
  }

  read(entry: Entry | Damage): void {
    switch (entry.type) {
      case "begin":
        this.#begin = entry;
        this.#isKernel = entry.pathManager === "kernel";
        return;
      case "event":
        return this.#event(entry.event, this.#time(entry.at));
      case "seen":
        return this.#adopt(entry.connection, this.#time(entry.at));
      case "owner":
        return this.#own(entry.token, entry.uid);
      case "fact": {
        const { fact } = entry;
        if (!this.#isKernel || fact.type !== "events") return;
        for (const event of fact.events) {
          const translated = translate(event);
          if (translated) this.#event(translated, this.#time(entry.at));
        }
        return;
      }
      default:
        return;
    }
  }

  #time(at: Millis): Millis {
    return this.#begin.epoch + at - this.#begin.at;
  }

  #event(event: EngineEvent, time: Millis): void {
    switch (event.type) {
      case "connection.created":
      case "connection.established":
        if (this.#open.has(event.token)) return;
        this.#subflow(this.#new(event.token, event.path, time, time), event.path);
        return;
      case "connection.closed":
        return this.#end(event.token, time);
      case "kernel.snapshot": {
        const there = new Set(event.connections.map(({ connection }) => connection.token));
        for (const token of [...this.#open.keys()]) if (!there.has(token)) this.#end(token, time);
        for (const { connection } of event.connections) this.#look(connection, time);
        return;
      }
      case "connection.measured":
        return this.#measured(event);
      case "action.failed":
        if (event.action.type === "subflow.create")
          this.#touch(event.action.token, time, (chapter) => chapter.refused++);
        return;
      case "subflow.established":
        return this.#touch(event.token, time, (chapter) => this.#subflow(chapter, event.path));
      case "subflow.closed":
        if (event.errno) this.#touch(event.token, time, (chapter) => chapter.lost++);
        return;
      default:
        return;
    }
  }

  #own(token: Token, uid: number): void {
    const chapter = this.#open.get(token);
    if (chapter) chapter.uid = uid;
  }

  #touch(token: Token, time: Millis, change: (chapter: Chapter) => void): void {
    const chapter = this.#open.get(token);
    if (!chapter) return;
    chapter.seen = time;
    change(chapter);
  }

  #new(token: Token, path: Path, began: Millis | undefined, seen: Millis): Chapter {
    const counts = { subflows: 0, lost: 0, refused: 0 };
    const chapter: Chapter = {
      token,
      path,
      began,
      ended: undefined,
      ways: new Set<string>(),
      ...counts,
      bytes: new Map(),
      seen,
      first: seen,
      uid: undefined,
    };
    this.#open.set(token, chapter);
    return chapter;
  }

  #subflow(chapter: Chapter, { local, remote }: Path): void {
    chapter.subflows++;
    chapter.ways.add(`${unmap(local.address)} → ${unmap(remote.address)}`);
  }

  #adopt({ token, initial, subflows }: ConnectionSnapshot, time: Millis): void {
    if (this.#open.has(token)) return;
    const chapter = this.#new(token, initial, undefined, time);
    for (const { path, state } of subflows) if (state === "established") this.#subflow(chapter, path);
  }

  #look({ token, path, subflows, state, uid }: Connection, time: Millis): void {
    if (this.#open.has(token) || state !== "established") return;
    const chapter = this.#new(token, path, undefined, time);
    chapter.uid = uid;
    for (const each of subflows) if (each.state === "established") this.#subflow(chapter, each.path);
  }

  #measured({ token, subflows }: ConnectionMeasured): void {
    const chapter = this.#open.get(token);
    if (!chapter) return;
    for (const { path, bytesAcked, bytesReceived } of subflows) {
      const key = `${path.local.address} ${path.local.port} ${path.remote.address} ${path.remote.port}`;
      chapter.bytes.set(key, bytesAcked + bytesReceived);
    }
  }

  #end(token: Token, time: Millis): void {
    const chapter = this.#open.get(token);
    if (!chapter) return;
    this.#open.delete(token);
    chapter.ended = chapter.seen = time;
    if (!this.#isKept(chapter)) return;
    this.#over.push(chapter);
    if (this.#over.length < 2 * this.#keptMax) return;
    this.more += this.#over.splice(0, this.#keptMax).length;
  }
}
