import type { ServerResponse } from "node:http";
import type { Picture } from "../../page/index.ts";

/** From one picture to the next at least, in milliseconds; and a picture takes at most this part of the time. */
const PACE = 100;
const SHARE = 5;
/** Ages grow while nothing happens. */
const ANYHOW = 1000;
/** A browser that has so many bytes not read yet gets the picture that is true when it has. */
const AHEAD_MAX = 65_536;

/** Server-sent events to one browser: a whole picture each time, so that nothing has to be kept for it. */
export class Stream {
  readonly #response: ServerResponse;
  readonly #picture: () => Picture;
  readonly #anyhow: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #notBefore = 0;
  #last = "";

  constructor(response: ServerResponse, picture: () => Picture) {
    this.#response = response;
    this.#picture = picture;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // Of nginx as a reverse proxy: what is kept back is not live.
      "x-accel-buffering": "no",
    });
    this.#anyhow = setInterval(() => this.soon(), ANYHOW);
    this.#send();
  }

  soon(): void {
    this.#timer ??= setTimeout(() => this.#send(), Math.max(0, this.#notBefore - performance.now()));
  }

  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#anyhow);
    this.#response.end();
  }

  #send(): void {
    this.#timer = undefined;
    if (this.#response.writableLength > AHEAD_MAX) return;
    const began = performance.now();
    const text = JSON.stringify(this.#picture());
    // A comment while nothing changes: a proxy would take silence for an end.
    this.#response.write(text === this.#last ? ":\n\n" : `data: ${text}\n\n`);
    this.#last = text;
    const now = performance.now();
    this.#notBefore = now + Math.max(PACE, SHARE * (now - began));
  }
}
