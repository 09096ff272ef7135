import type { Picture, Query } from "./picture.ts";

/** A browser whose stream was refused does not try again by itself. Milliseconds. */
const AGAIN = 2000;

interface Told {
  readonly onPicture: (picture: Picture) => void;
  readonly onAway: (isAway: boolean) => void;
}

/**
 * Follows what the server shows for a query, through ends of the server, too. Who scrolls or types asks for something else faster than it is answered: the
 * next question is put when the one before has its first answer, and of those that came meanwhile the last one counts. So something is always to be seen.
 */
export class Follower {
  readonly #told: Told;
  #source: EventSource | undefined;
  #timer = 0;
  #query: Query | undefined;
  /** What comes next. */
  #next: Query | undefined;
  #isWaiting = false;

  constructor(told: Told) {
    this.#told = told;
  }

  ask(query: Query): void {
    this.#next = query;
    if (!this.#isWaiting) this.#open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#isWaiting = false;
  }

  #open(): void {
    this.close();
    this.#query = this.#next ?? this.#query;
    this.#next = undefined;
    const parameters = new URLSearchParams(
      Object.entries(this.#query ?? {}).map(([name, value]) => [name, `${value}`]),
    );
    this.#isWaiting = true;
    this.#source = new EventSource(`/stream?${parameters}`);
    this.#source.onmessage = ({ data }) => {
      this.#isWaiting = false;
      this.#told.onAway(false);
      this.#told.onPicture(JSON.parse(data));
      if (this.#next) this.#open();
    };
    this.#source.onerror = () => {
      this.#told.onAway(true);
      this.#source?.close();
      // Until then what is asked for waits.
      this.#timer = setTimeout(() => this.#open(), AGAIN);
    };
  }
}

/** The connection that an address names: "#c=1b2c3d4e". */
export function openedIn(hash: string): string {
  return /^#c=([0-9a-f]{1,8})$/.exec(hash)?.[1] ?? "";
}
