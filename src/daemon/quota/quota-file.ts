import { constants, rmSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { QUOTA_PERIODS, QUOTA_STAGES } from "../../host/index.ts";
import { readOurs, replaceFile } from "../files/safe-file.ts";
import { requireDirectory, statePlace } from "../files/state-directory.ts";
import type { Logger } from "../logger.ts";
import type { Meter } from "./meter.ts";

const FILE_MODE = 0o600;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const METER = v.strictObject({
  boot: v.string(),
  index: whole,
  counter: whole,
  at: v.number(),
  period: v.picklist(QUOTA_PERIODS),
  counts: v.array(v.strictObject({ key: v.string(), bytes: whole, told: v.picklist(QUOTA_STAGES) })),
});
const SAVED = v.strictObject({ version: v.literal(1), interfaces: v.record(v.string(), METER) });

/** The file for a namespace. @param netns as the command line names it */
export function quotaPath(netns: string | undefined): string {
  const { directory, suffix } = statePlace(netns);
  return join(directory, `quota${suffix}.json`);
}

/** Keeps the use of quotas over the ends of daemons and hosts. What goes wrong with it harms nothing else. */
export class QuotaFile {
  readonly #path: string;
  readonly #log: Pick<Logger, "warn" | "info">;
  #trouble: string | undefined;
  #isWriting = false;

  constructor(path: string, log: Pick<Logger, "warn" | "info">) {
    this.#path = path;
    this.#log = log;
  }

  /** What is wrong at present. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** As it was written down; nothing where that cannot be read, which is said. */
  read(): Readonly<Record<string, Meter>> {
    const path = this.#path;
    try {
      return v.parse(SAVED, JSON.parse(readOurs(path))).interfaces;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      this.#log.warn(`${path} cannot be read (${(error as Error).message}): what quotas have used is counted from 0`);
      return {};
    }
  }

  /** Beside the loop, for a disk may take its time; one at a time. */
  async write(interfaces: Readonly<Record<string, Meter>>): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      const path = this.#path;
      requireDirectory(dirname(path));
      await replaceSlowly(path, textOf(interfaces));
      this.#onSuccess();
    } catch (error) {
      this.#onFailure(error as Error);
    } finally {
      this.#isWriting = false;
    }
  }

  /** At the end, when there is no loop any more. */
  writeNow(interfaces: Readonly<Record<string, Meter>>): void {
    try {
      const path = this.#path;
      requireDirectory(dirname(path));
      replaceFile(path, textOf(interfaces));
    } catch (error) {
      this.#onFailure(error as Error);
    }
  }

  #onSuccess(): void {
    if (this.#trouble !== undefined) this.#log.info("the use of quotas is written again");
    this.#trouble = undefined;
  }

  #onFailure({ message }: Error): void {
    const trouble = `the use of quotas cannot be written: ${message}`;
    if (trouble !== this.#trouble) this.#log.warn(`${trouble}; it is counted on, and a restart forgets it`);
    this.#trouble = trouble;
  }
}

function textOf(interfaces: Readonly<Record<string, Meter>>): string {
  return `${JSON.stringify({ version: 1, interfaces })}\n`;
}

/** {@link replaceFile} with a name of its own: if both come at once, either text stays, whole, and either goes on from its counters. */
async function replaceSlowly(path: string, text: string): Promise<void> {
  const fresh = `${path}.next`;
  rmSync(fresh, { force: true });
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  try {
    await using file = await open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    await file.writeFile(text);
    // Without it a power cut can leave an empty file under the old name.
    await file.datasync();
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await rename(fresh, path);
}
