import { emitKeypressEvents } from "node:readline";
import { ReadStream } from "node:tty";
import type { Streams } from "../streams.ts";
import type { Key } from "./keys.ts";

/** xterm's private modes, which every terminal of today knows: the other screen, and whether the cursor is seen. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const REST_OF_LINE = "\u001b[K";
const REST_OF_SCREEN = "\u001b[J";
/** A size where the terminal says none. */
const USUAL = { columns: 80, rows: 24 };

/** The whole terminal, for a while: another screen, keys as they are pressed; what was there comes back, however it ends but by SIGKILL. */
export class Terminal implements Disposable {
  readonly #out: Streams["out"];
  readonly #input: ReadStream | undefined;
  readonly #restore = (): void => this.#leave();
  #isEntered = false;

  /** @param onKey also told of ^C, which is a key here */
  constructor({ out }: Streams, onKey: (key: Key) => void) {
    this.#out = out;
    this.#input = process.stdin instanceof ReadStream && process.stdin.isTTY ? process.stdin : undefined;
    if (this.#input) {
      emitKeypressEvents(this.#input);
      this.#input.on("keypress", (text: string | undefined, { name, ctrl }: Key) => {
        if (ctrl && name === "z") this.#suspend();
        else onKey({ name, ctrl, text });
      });
    }
    process.on("exit", this.#restore);
    process.on("SIGCONT", () => this.#enter());
    this.#enter();
  }

  [Symbol.dispose](): void {
    this.#leave();
    process.off("exit", this.#restore);
    this.#input?.pause();
  }

  get size(): { readonly width: number; readonly height: number } {
    const { columns = USUAL.columns, rows = USUAL.rows } = process.stdout;
    return { width: columns || USUAL.columns, height: rows || USUAL.rows };
  }

  onResize(redraw: () => void): void {
    process.stdout.on("resize", redraw);
  }

  /** In one write, over what is there: nothing flickers. */
  draw(lines: readonly string[]): void {
    if (this.#isEntered) this.#out(HOME + lines.map((line) => line + REST_OF_LINE).join("\r\n") + REST_OF_SCREEN);
  }

  #enter(): void {
    if (this.#isEntered) return;
    this.#isEntered = true;
    this.#input?.setRawMode(true);
    this.#input?.resume();
    this.#out(ENTER);
  }

  #leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    try {
      this.#input?.setRawMode(false);
      this.#out(LEAVE);
    } catch {
      // It is gone: there is nothing to restore.
    }
  }

  #suspend(): void {
    this.#leave();
    process.kill(process.pid, "SIGSTOP");
  }
}
