import { SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { describeFailure, EXIT, isBrokenPipe, wrongArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";
import { perform } from "../top/deed.ts";
import { type Key, pressed } from "../top/keys.ts";
import { pageLength, picture } from "../top/screen.ts";
import { TopSource } from "../top/source.ts";
import { type Deed, FIRST_VIEW, listed, SORTS, type View, type World } from "../top/state.ts";
import { Terminal } from "../top/terminal.ts";

/** A key that is held down redraws no more often. Milliseconds. */
const FRAME = 40;

/** `top`: until q, ^C or a signal; where nobody looks, one picture. */
export async function run(context: Context): Promise<number> {
  const { values } = parseOptions(context);
  const { global, streams } = context;
  const pace = paceOption(values.interval);
  const view: View = { ...FIRST_VIEW, sort: sortOption(values.sort), search: values.search ?? "" };
  using source = new TopSource(global.netns, pace);
  if (values.once !== undefined || !streams.isTerminal) return await once(context, source, view, pace);
  return await new Promise<number>((resolve, reject) => {
    const screen = new Live(context, source, { view, pace, mayControl: values.control !== undefined }, (error) => {
      screen[Symbol.dispose]();
      if (error === undefined || isBrokenPipe(error)) resolve(error === undefined ? EXIT.success : EXIT.brokenPipe);
      else reject(error);
    });
    source
      .start((error) => screen.end(error))
      .then(
        () => screen.begin(),
        (error) => screen.end(error),
      );
  });
}

/** Lines of a picture for a file, which has no end. */
const ENDLESS = 10_000;

/** One picture, with rates: they need two readings. */
async function once({ streams }: Context, source: TopSource, view: View, pace: number): Promise<number> {
  await new Promise<void>((resolve, reject) => void source.start(reject, true).then(resolve, reject));
  source.world(performance.now());
  await new Promise((resolve) => setTimeout(resolve, pace + pace / 2));
  const width = Number.isFinite(streams.width) ? streams.width : 120;
  const lines = picture(source.world(performance.now()), view, { width, height: ENDLESS, paint: streams.paint });
  // The line of keys is for people, and so is the room above it.
  const text = lines.slice(0, -1).join("\n").trimEnd();
  streams.out(`${text}\n`);
  return EXIT.success;
}

interface LiveOptions {
  readonly view: View;
  readonly pace: number;
  readonly mayControl: boolean;
}

/** The picture on a terminal, and its keys. */
class Live implements Disposable {
  readonly #context: Context;
  readonly #source: TopSource;
  readonly #terminal: Terminal;
  readonly #mayControl: boolean;
  readonly #onEnd: (error?: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #view: View;
  /** What is shown while it pauses. */
  #frozen: World | undefined;
  #drawing: NodeJS.Timeout | undefined;
  #hasBegun = false;
  #isOver = false;

  constructor(context: Context, source: TopSource, options: LiveOptions, onEnd: (error?: unknown) => void) {
    this.#context = context;
    this.#source = source;
    this.#view = options.view;
    this.#mayControl = options.mayControl;
    this.#onEnd = onEnd;
    this.#terminal = new Terminal(context.streams, (key) => this.#guarded(() => this.#onKey(key)));
    this.#terminal.onResize(() => this.#soon());
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => this.end());
    this.#timer = setInterval(() => this.#guarded(() => this.#draw()), options.pace);
    this.#terminal.draw(["looking..."]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    clearTimeout(this.#drawing);
    this.#terminal[Symbol.dispose]();
  }

  begin(): void {
    this.#hasBegun = true;
    this.#guarded(() => this.#draw());
  }

  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(error);
  }

  #guarded(work: () => void): void {
    try {
      if (!this.#isOver) work();
    } catch (error) {
      this.end(error);
    }
  }

  get #world(): World {
    return this.#frozen ?? this.#source.world(performance.now());
  }

  #draw(): void {
    if (!this.#hasBegun) return;
    const canvas = { ...this.#terminal.size, paint: this.#context.streams.paint };
    this.#terminal.draw(picture(this.#world, this.#view, canvas));
  }

  #soon(): void {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = undefined;
      this.#guarded(() => this.#draw());
    }, FRAME);
  }

  #onKey(key: Key): void {
    const world = this.#world;
    const canvas = { ...this.#terminal.size, paint: this.#context.streams.paint };
    // On a page the filter may have lost its connection meanwhile.
    const list = this.#view.opened === undefined ? listed(world, this.#view) : [...world.connections.values()];
    const outcome = pressed(this.#view, key, { list, page: pageLength(canvas), mayControl: this.#mayControl });
    this.#view = outcome.view;
    if (outcome.isEnd) return this.end();
    if (outcome.deed) this.#view = { ...this.#view, said: this.#do(outcome.deed) };
    if (this.#view.isPaused !== (this.#frozen !== undefined))
      this.#frozen = this.#view.isPaused ? still(world) : undefined;
    this.#soon();
  }

  /** @returns what became of it */
  #do({ type, token, subflow: { path } }: Deed): string {
    const connection = this.#source.connections.get(token);
    if (!connection) return "it is over";
    try {
      return perform(this.#context.global.netns, type, connection, path);
    } catch (error) {
      if (!(error instanceof SubflowError)) throw error;
      return describeFailure(error).text.replaceAll("\n", " ");
    }
  }
}

/** The world as it is, also when it goes on. */
function still(world: World): World {
  return { ...world, connections: new Map(world.connections) };
}

function paceOption(text: string | undefined): number {
  const seconds = Number(text ?? 1);
  if (!(seconds >= 0.2 && seconds <= 60)) throw wrongArgument(text ?? "", "0.2 to 60 seconds are possible");
  return Math.round(seconds * 1000);
}

function sortOption(text: string | undefined): View["sort"] {
  if (text === undefined) return FIRST_VIEW.sort;
  const found = SORTS.find((sort) => sort === text);
  if (!found) throw wrongArgument(text, `it is one of ${SORTS.join(", ")}`);
  return found;
}
