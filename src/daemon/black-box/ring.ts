import { closeSync, constants, existsSync, fchmod, open, readdirSync, write, writeSync } from "node:fs";
import { chmod, lstat, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { requireOwn } from "../files/state-directory.ts";

/** Segments that fill the ring: with the oldest goes so much of it. */
const SEGMENTS = 4;
/** Daemons that start over and over leave small ones. */
const FILES_MAX = 64;
/** The daemon's group may do everything, so it may also look; others see nothing. Whatever the umask is. */
const DIRECTORY_MODE = 0o750;
const FILE_MODE = 0o640;
const NAME = /^(\d{8})\.rec$/;
/** What a slow disk has not taken; what comes beyond is not kept. */
export const PENDING_MAX = 4 * 1024 * 1024;

/** The segments of a ring in a directory, oldest first. */
export function segmentsIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/**
 * Files of which the oldest goes when there is no room for more. Written beside the loop, one write at a time; whoever calls never waits, and
 * nothing throws: what went wrong is {@link trouble}.
 */
export class Ring {
  readonly directory: string;
  readonly #size: number;
  #fd: number | undefined;
  /** Of the file at hand, of what was handed over. */
  #position = 0;
  #chain: Promise<void> = Promise.resolve();
  #pending = 0;
  /** Something was handed over that has not come to its end. */
  #isBusy = false;
  #trouble: string | undefined;
  /** The last thing that was tried failed. */
  #isRefused = false;

  constructor(directory: string, size: number) {
    this.directory = directory;
    this.#size = size;
  }

  /** Why nothing is written; undefined: it is. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Nothing is taken until {@link begin} tries again. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Bytes that were handed over and are not written. */
  get pending(): number {
    return this.#pending;
  }

  /** The segment at hand has had its share. */
  get isFull(): boolean {
    return this.#position >= this.#size / SEGMENTS;
  }

  /** What comes now is in a file of its own; the oldest go. */
  begin(): void {
    this.#position = 0;
    this.#isRefused = false;
    this.#do(async () => {
      this.#close();
      await mkdir(this.directory, { recursive: true, mode: DIRECTORY_MODE });
      requireOwn(this.directory, await lstat(this.directory));
      await chmod(this.directory, DIRECTORY_MODE);
      const names = (await readdir(this.directory)).filter((name) => NAME.test(name)).sort();
      await this.#makeRoom(names);
      const last = Number(NAME.exec(names.at(-1) ?? "")?.[1] ?? 0);
      const path = join(this.directory, `${String(last + 1).padStart(8, "0")}.rec`);
      const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
      this.#fd = await openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
      await changeMode(this.#fd, FILE_MODE);
    });
  }

  /**
   * @param onLost called when it could not be written after all
   * @returns false: it was not taken
   */
  write(bytes: Uint8Array, onLost: () => void = () => undefined): boolean {
    if (this.#isRefused || this.#pending + bytes.length > PENDING_MAX) return false;
    const position = this.#position;
    this.#position += bytes.length;
    this.#pending += bytes.length;
    this.#do(async () => {
      try {
        if (this.#fd === undefined) return onLost();
        await writeAll(this.#fd, bytes, position);
        this.#trouble = undefined;
      } catch (error) {
        onLost();
        throw error;
      } finally {
        this.#pending -= bytes.length;
      }
    });
    return true;
  }

  /** Resolves when what was handed over before is written, or cannot be. */
  settled(): Promise<void> {
    return this.#chain;
  }

  /** The last word. What the disk has not taken yet keeps the process until it has. */
  end(bytes: Uint8Array | undefined): void {
    if (this.#isBusy || this.#pending > 0) {
      if (bytes) this.write(bytes);
      this.#do(async () => this.#close());
      return;
    }
    try {
      if (this.#fd !== undefined && bytes) writeSync(this.#fd, bytes, 0, bytes.length, this.#position);
    } catch {
      // What was written before is whole.
    }
    this.#close();
  }

  async #makeRoom(names: readonly string[]): Promise<void> {
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(this.directory, name))).size));
    let all = sizes.reduce((sum, each) => sum + each, 0);
    const room = this.#size - this.#size / SEGMENTS;
    for (const [index, name] of names.entries()) {
      if (all <= room && names.length - index < FILES_MAX) break;
      await rm(join(this.directory, name), { force: true });
      all -= sizes[index] ?? 0;
    }
  }

  #do(work: () => Promise<void>): void {
    this.#isBusy = true;
    const mine = this.#chain.then(async () => {
      try {
        await work();
      } catch (error) {
        this.#trouble = (error as Error).message;
        this.#isRefused = true;
        this.#close();
      }
      if (this.#chain === mine) this.#isBusy = false;
    });
    this.#chain = mine;
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const openFile = promisify(open);
const writePart = promisify(write);
const changeMode = promisify(fchmod);

/** @throws the error of write(2); ENOSPC where the disk takes a part only */
async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await writePart(fd, bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
