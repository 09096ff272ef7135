import { Worker } from "node:worker_threads";
import type { Answer, Asker } from "../../control/index.ts";
import { entryFile } from "../../plugin/index.ts";
import type { ControlFailure, HistoryParameters, Millis } from "../../types/index.ts";
import type { HistoryAnswer, HistoryQuery } from "./read.ts";

/** Users whose questions wait, the one at hand included, one of each: a question may take seconds, and a client waits for ten. */
const WAITING_MAX = 4;
/** After a reading so many times as long as it took nothing is read: a fifth of a processor at most, whatever is asked. */
const REST_FACTOR = 4;
const REST_MAX: Millis = 2000;
/** A reading may take so long, */
const DEADLINE: Millis = 6000;
/** and so much memory. */
const HEAP_MB = 256;
const PROGRAM = { bundled: "history.mjs", built: "thread.js" };

export interface HistoryOptions {
  /** Resolves when what was noted before can be read; where; undefined: the black box is off. */
  readonly written: () => Promise<string | undefined>;
}

const BUSY: ControlFailure = { code: "BUSY", message: "the history is being read for others; try again" };
const OFF: ControlFailure = {
  code: "REQUEST",
  message: "there is no history: the daemon's black box is off (`black_box: 16MB` in its configuration)",
};

/**
 * Tells what became of connections to those who may not read the black box: of their own. It is read by a thread that has the question and the
 * files, and nothing else of the daemon; one at a time, with rests, and whatever becomes of it is an answer.
 */
export class History implements Disposable {
  readonly #options: HistoryOptions;
  readonly #waiting = new Set<number>();
  #chain: Promise<void> = Promise.resolve();
  #worker: Worker | undefined;
  #isOver = false;
  #rest: NodeJS.Timeout | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#rest);
    void this.#worker?.terminate();
  }

  tell(params: HistoryParameters, answer: Answer, asker: Asker): void {
    if (this.#waiting.size >= WAITING_MAX || this.#waiting.has(asker.uid)) return answer(null, BUSY);
    this.#waiting.add(asker.uid);
    this.#chain = this.#chain.then(() => this.#answer(params, answer, asker));
  }

  async #answer(params: HistoryParameters, answer: Answer, asker: Asker): Promise<void> {
    const { written } = this.#options;
    // Nor is anything read for nobody, or by a daemon that has ended meanwhile.
    const isWanted = (): boolean => asker.isThere && !this.#isOver;
    // What fails may have taken as long as it may.
    let took = REST_MAX;
    try {
      const directory = isWanted() ? await written() : undefined;
      if (!isWanted() || directory === undefined) {
        took = 0;
        return answer(null, OFF);
      }
      const uid = asker.isTrusted ? undefined : asker.uid;
      const read = await this.#read({ ...params, directory, uid });
      took = read.took;
      answer(read.told);
    } catch (error) {
      answer(null, { code: "INTERNAL", message: `the history cannot be read: ${(error as Error).message}` });
    } finally {
      this.#waiting.delete(asker.uid);
      // Also where whoever asked did not wait.
      if (!this.#isOver) await this.#pause(Math.min(REST_MAX, REST_FACTOR * took));
    }
  }

  #read(query: HistoryQuery): Promise<HistoryAnswer> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(entryFile(import.meta.url, PROGRAM), {
        workerData: query,
        execArgv: [],
        env: {},
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      });
      this.#worker = worker;
      const late = setTimeout(() => void worker.terminate(), DEADLINE);
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => {
        clearTimeout(late);
        this.#worker = undefined;
        reject(new Error(`it takes longer than ${DEADLINE / 1000} s`));
      });
      worker.unref();
    });
  }

  #pause(time: Millis): Promise<void> {
    return new Promise((resolve) => {
      this.#rest = setTimeout(resolve, time).unref();
    });
  }
}
