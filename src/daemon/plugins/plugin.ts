import { LineBuffer } from "../../control/index.ts";
import type { PolicyAsk, PolicyPlanned, RemotePolicy } from "../../engine/index.ts";
import { PLUGIN_VERSION } from "../../plugin/index.ts";
import type { Dbm, Millis, Token } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { type Heard, hear, type Misheard } from "./answers.ts";
import { nodeWords, Supervisor } from "./supervisor.ts";

/** A question may stay without an answer so long: then the process hangs, or is gone. */
const ANSWER_MAX: Millis = 1000;
/** So long it may take to begin. */
const START_MAX: Millis = 10_000;
/** Questions on their way at once; the others wait, the newest of each connection. */
const ASKED_MAX = 32;
/** Bytes of a line: a plan with everything in it has some ten thousand, and the memory of a connection is kept here. */
const LINE_MAX = 1 << 16;
/** Lines that answer nothing: with more it talks for itself. */
const NOISE_MAX = 100;
/** From an end to the next beginning: doubles, up to a minute; well for a minute, and it is forgotten. */
const REST_MIN: Millis = 500;
const REST_MAX: Millis = 60_000;
/** Lines of its standard error that are logged, each minute. */
const ERRORS_MAX = 20;

export interface PluginOptions {
  readonly name: string;
  readonly file: string;
  /** What runs it, a script for Node. */
  readonly program: string;
  readonly readable: readonly string[];
  readonly log: Logger;
  readonly now: () => Millis;
  readonly onAnswer: (event: PolicyPlanned) => void;
  /** It answers, or does so no more. */
  readonly onChange: () => void;
}

interface Asked {
  readonly token: Token;
  readonly version: number;
  readonly at: Millis;
}

/** One plug-in: its process, what it is asked, and what it answers. Whatever it does, it costs the process. */
export class Plugin implements Disposable {
  readonly #options: PluginOptions;
  readonly #supervisor: Supervisor;
  readonly #asked = new Map<number, Asked>();
  readonly #waiting = new Map<Token, PolicyAsk>();
  #lines = new LineBuffer();
  #isRunning = false;
  #isUp = false;
  #measures: Millis | undefined;
  #signals: readonly Dbm[] | undefined;
  #ids = 0;
  #noise = 0;
  #startedAt: Millis = 0;
  #rest: Millis = REST_MIN;
  #timer: NodeJS.Timeout | undefined;
  #errorsLeft = ERRORS_MAX;
  #errorsSince: Millis = 0;

  constructor(options: PluginOptions) {
    this.#options = options;
    const { file, program, readable, log } = options;
    this.#supervisor = new Supervisor({
      words: [...nodeWords(readable), program, file],
      onOutput: (chunk) => this.#hear(chunk),
      onErrors: (chunk) => this.#onErrors(chunk),
      onFailure: (error) => log.error(`${this.name} cannot be run: ${error.message}`),
    });
  }

  /** Starts its process: when the daemon has given up its rights. */
  begin(): void {
    this.#start();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#supervisor[Symbol.dispose]();
  }

  get name(): string {
    return `plugin:${this.#options.name}`;
  }

  get standing(): RemotePolicy {
    return { name: this.name, isUp: this.#isUp, measures: this.#measures, signals: this.#signals };
  }

  /** Asks, when its turn comes; an earlier question about the connection that still waits is left out. */
  ask(question: PolicyAsk): void {
    if (!this.#isUp) return;
    this.#waiting.delete(question.token);
    this.#waiting.set(question.token, question);
    this.#send();
  }

  /** Reads the file anew. */
  restart(): void {
    this.#end();
    this.#rest = REST_MIN;
    this.#start();
  }

  #start(): void {
    this.#startedAt = this.#options.now();
    this.#lines = new LineBuffer();
    this.#noise = 0;
    this.#isRunning = true;
    this.#supervisor.start();
    this.#arm();
  }

  #end(): void {
    clearTimeout(this.#timer);
    const wasUp = this.#isUp;
    this.#isRunning = false;
    this.#isUp = false;
    this.#asked.clear();
    this.#waiting.clear();
    this.#supervisor.end();
    if (wasUp) this.#options.onChange();
  }

  /** It is not to be trusted for now. */
  #fail(why: string): void {
    const { log, now } = this.#options;
    if (now() - this.#startedAt > REST_MAX) this.#rest = REST_MIN;
    log.error(`${this.name} ${why}: its connections keep their plans, and it begins anew in ${this.#rest / 1000} s`);
    this.#end();
    this.#timer = setTimeout(() => this.#start(), this.#rest).unref();
    this.#rest = Math.min(REST_MAX, 2 * this.#rest);
  }

  #send(): void {
    const { now } = this.#options;
    for (const [token, question] of this.#waiting) {
      if (this.#asked.size >= ASKED_MAX) break;
      this.#waiting.delete(token);
      const { version, view, occasion, memory, given } = question;
      const id = ++this.#ids;
      this.#asked.set(id, { token, version, at: now() });
      this.#supervisor.write(`${JSON.stringify({ type: "plan", id, view, occasion, memory, given })}\n`);
    }
    this.#arm();
  }

  /** The oldest question decides when it has had its time. */
  #arm(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#asked.values();
    const due = this.#isUp ? oldest && oldest.at + ANSWER_MAX : this.#startedAt + START_MAX;
    if (due === undefined) return;
    const left = Math.max(0, due - this.#options.now());
    this.#timer = setTimeout(() => this.#fail(this.#isUp ? "does not answer" : "does not begin"), left).unref();
  }

  #hear(chunk: Buffer): void {
    // What an ended process had said still.
    if (!this.#isRunning) return;
    this.#lines.append(chunk);
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      if (line.length === 0) continue;
      if (line.length > LINE_MAX) return this.#fail("says too much at once");
      if (!this.#take(hear(line.toString("utf8")))) return;
    }
    if (this.#lines.length > LINE_MAX) this.#fail("writes a line without end");
  }

  /** False: it has been ended. */
  #take(heard: Heard | Misheard): boolean {
    switch (heard.type) {
      case "hello":
        return this.#greet(heard);
      case "useless":
        this.#fail(`cannot be used: ${heard.fault}`);
        return false;
      case "plan":
        return this.#answer(heard.id, { plan: heard.plan, fault: "" });
      case "fault":
        return this.#answer(heard.id, { plan: undefined, fault: heard.fault });
      case "wrong":
        return this.#answer(heard.id, { plan: undefined, fault: heard.fault });
    }
  }

  #greet({ version, measures, signals }: Extract<Heard, { type: "hello" }>): boolean {
    if (version !== PLUGIN_VERSION) {
      this.#fail(`speaks version ${version}, and the daemon ${PLUGIN_VERSION}`);
      return false;
    }
    this.#isUp = true;
    this.#measures = measures;
    this.#signals = signals;
    this.#arm();
    this.#options.log.info(`${this.name} answers (${this.#options.file})`);
    this.#options.onChange();
    return true;
  }

  #answer(id: number | undefined, said: Pick<PolicyPlanned, "plan" | "fault">): boolean {
    const asked = id === undefined ? undefined : this.#asked.get(id);
    if (id === undefined || !asked) {
      if (++this.#noise <= NOISE_MAX) return true;
      this.#fail("says what nobody asked for");
      return false;
    }
    this.#asked.delete(id);
    const { token, version } = asked;
    this.#options.onAnswer({ type: "policy.planned", token, version, ...said });
    this.#send();
    return true;
  }

  /** Bounded: whoever writes without end is not to fill the log. */
  #onErrors(chunk: Buffer): void {
    const { log, now } = this.#options;
    if (now() - this.#errorsSince > 60_000) {
      this.#errorsSince = now();
      this.#errorsLeft = ERRORS_MAX;
    }
    for (const line of chunk.toString("utf8").slice(0, 4000).split("\n")) {
      if (line.trim() === "" || this.#errorsLeft <= 0) continue;
      this.#errorsLeft--;
      log.warn(`${this.name}: ${line.slice(0, 500)}`);
    }
  }
}
