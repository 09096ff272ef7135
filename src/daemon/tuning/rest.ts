import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { releaseCleanPages } from "../../netlink/index.ts";
import type { Millis } from "../../types/index.ts";

/** Without an event for so long, a daemon is at rest. */
const QUIET: Millis = 10_000;
/** Less work than this leaves too little behind to be worth it; and each rest makes the next event wait for its pages. */
const EVENTS_MIN = 10_000;

/**
 * Gives back what start-up and busy times leave behind: garbage, and the parts of the node binary that were used once. Done
 * when nothing has happened for a while: the first time, and after much work.
 */
export class Rest implements Disposable {
  readonly #refresh: () => void;
  readonly #timer: NodeJS.Timeout;
  #events = EVENTS_MIN;
  #quiet = false;

  /** @param refresh touches what the next event will need, so that this event need not wait for it */
  constructor(refresh: () => void) {
    this.#refresh = refresh;
    this.#timer = setInterval(() => this.#look(), QUIET).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** To be told of each batch of events. */
  worked(events: number): void {
    this.#events += events;
    this.#quiet = false;
  }

  #look(): void {
    if (this.#quiet && this.#events >= EVENTS_MIN) {
      this.#events = 0;
      collectGarbage();
      releaseCleanPages();
      this.#refresh();
    }
    this.#quiet = true;
  }
}

/** V8 collects only when memory is asked for, which a daemon at rest never does. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // The second one finds what the first had only moved out of the young generation.
  collect();
  collect();
}
