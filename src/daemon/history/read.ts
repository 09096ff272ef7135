import { closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { type Damage, type Entry, RecordingReader } from "../../recording/index.ts";
import {
  type Address,
  type HistoryConnection,
  type HistoryParameters,
  type HistoryStep,
  type Millis,
  type Token,
  type ToldHistory,
  unmap,
} from "../../types/index.ts";
import { segmentsIn } from "../black-box/ring.ts";
import { type Chapter, Chronicle, isOf } from "./chronicle.ts";
import { type Step, Teller } from "./teller.ts";

/** Connections of one answer, and steps of a story: some 200 kB. */
const PAGE = 512;
const STORY_MAX = 1000;
/** Connections that all pages together have. */
const KEPT_MAX = 10_000;
/** Of a larger ring the newest files count: what is read has to be read in seconds. Bytes. */
const READ_MAX = 64 * 1024 * 1024;
const PIECE = 64 * 1024;

/** What is to be read, and for whom. */
export interface HistoryQuery extends HistoryParameters {
  readonly directory: string;
  /** Whose connections are told of; undefined: everybody's. */
  readonly uid: number | undefined;
}

/** What the thread says. */
export interface HistoryAnswer {
  readonly told: ToldHistory;
  readonly took: Millis;
}

/** Reads the black box for what became of connections. @throws the error of open(2) or read(2) */
export function readHistory({ directory, uid, since = 0, token, skip = 0 }: HistoryQuery): ToldHistory {
  const isWanted = (each: Chapter): boolean =>
    (uid === undefined || isOf(uid, each)) && (token === undefined || each.token === token);
  const chronicle = new Chronicle(isWanted, KEPT_MAX);
  const story = token === undefined ? undefined : new Story(token);
  for (const entry of entriesOf(newest(directory))) {
    chronicle.read(entry);
    story?.read(entry);
  }
  const meant = chronicle.chapters.filter((each) => isWanted(each) && (chronicle.isOpen(each) || each.seen >= since));
  const end = Math.max(0, meant.length - skip);
  const begin = Math.max(0, end - PAGE);
  const connections = meant.slice(begin, end).map((each) => toldOf(each, chronicle.isOpen(each)));
  const isMeant = (time: Millis): boolean =>
    meant.some((each) => time >= each.first && (chronicle.isOpen(each) || time <= each.seen));
  return { connections, more: begin + chronicle.more, ...story?.told(isMeant) };
}

/** A chapter as it is told. */
export function toldOf(chapter: Chapter, isOpen: boolean): HistoryConnection {
  const { token, path, began, ended, ways, subflows, lost, refused, bytes, uid } = chapter;
  let bytesAtLeast = 0;
  for (const each of bytes.values()) bytesAtLeast += each;
  return { token, path, isOpen, began, ended, ways: [...ways], subflows, lost, refused, bytesAtLeast, uid };
}

/** What happened to the connections of one token, which may have been several users', one after the other. */
class Story {
  readonly #token: Token;
  readonly #teller = new Teller();
  #steps: Step[] = [];

  constructor(token: Token) {
    this.#token = token;
  }

  read(entry: Entry | Damage): void {
    if (entry.type === "damage") return;
    this.#steps.push(...this.#teller.tell(entry).filter(({ token }) => token === this.#token));
    if (this.#steps.length > 20 * STORY_MAX) this.#steps = this.#steps.slice(-10 * STORY_MAX);
  }

  told(isMeant: (time: Millis) => boolean): Pick<ToldHistory, "story" | "interfaces"> {
    const steps = this.#steps.filter(({ time }) => isMeant(time)).slice(-STORY_MAX);
    const interfaces: Record<string, string> = {};
    for (const { happening } of steps) {
      for (const address of addressesIn(happening)) {
        const name = this.#teller.interfaceOf(address);
        if (name !== undefined) interfaces[address] = name;
      }
    }
    const story = steps.map(({ time, kind, happening }): HistoryStep => ({ time, kind, happening }));
    return { story, interfaces };
  }
}

/** Local addresses that a step names, wherever they stand. */
function addressesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    key === "address" && typeof each === "string" ? [unmap(each as Address)] : addressesIn(each),
  );
}

/** The newest files that are not too much to read, oldest first. */
function newest(directory: string): string[] {
  const files = segmentsIn(directory);
  let size = 0;
  let from = files.length;
  while (from > 0) {
    size += statSync(files[from - 1] as string, { throwIfNoEntry: false })?.size ?? 0;
    if (size > READ_MAX && from < files.length) break;
    from--;
  }
  return files.slice(from);
}

function* entriesOf(files: readonly string[]): Generator<Entry | Damage> {
  const piece = Buffer.allocUnsafe(PIECE);
  for (const file of files) {
    const fd = opened(file);
    if (fd === undefined) continue;
    try {
      const reader = new RecordingReader();
      for (let length = readSync(fd, piece); length > 0; length = readSync(fd, piece))
        yield* reader.push(Buffer.from(piece.subarray(0, length)));
      yield* reader.end();
    } finally {
      closeSync(fd);
    }
  }
}

/** undefined: the ring has dropped it meanwhile. */
function opened(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
