import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Nothing here takes as long, unless it hangs. Milliseconds. */
export const DEADLINE = 20_000;

/** Bytes, and how many requests reached the service. */
export interface Memory {
  readonly used: number;
  readonly rss: number;
  readonly calls: number;
}

/** A control server in a process of its own. */
export class Served implements AsyncDisposable {
  readonly path: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, "sock");
    this.#child = fork(join(import.meta.dirname, "service-child.js"), [this.path], { execArgv: ["--expose-gc"] });
  }

  static async start(): Promise<Served> {
    const served = new Served(mkdtempSync(join(tmpdir(), "subflow-control-")));
    await once(served.#child, "message", { signal: AbortSignal.timeout(DEADLINE) });
    return served;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill();
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async memory(): Promise<Memory> {
    const answer = once(this.#child, "message", { signal: AbortSignal.timeout(DEADLINE) });
    this.#child.send("memory");
    const [memory] = (await answer) as [Memory];
    return memory;
  }

  /** Resolves when connected. Errors are expected and end in its `close`. */
  async client(): Promise<Client> {
    const socket = connect(this.path);
    const connected = once(socket, "connect", { signal: AbortSignal.timeout(DEADLINE) });
    const client = new Client(socket);
    await connected;
    return client;
  }
}

/** Somebody who talks to a control server, well or badly. */
export class Client implements Disposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #lines: string[] = [];
  #pending = "";
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        this.#wake();
      });
    });
    socket.on("error", () => undefined);
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (this.#pending + chunk).split("\n");
      this.#pending = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#wake();
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  /** The next answer; undefined: none comes any more. */
  async answer(): Promise<Answer | undefined> {
    while (this.#lines.length === 0 && !this.socket.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const line = this.#lines.shift();
    return line === undefined ? undefined : JSON.parse(line);
  }

  async ask(line: string | Buffer): Promise<Answer | undefined> {
    this.socket.write(line);
    this.socket.write("\n");
    return this.answer();
  }
}

export interface Answer {
  readonly v: number;
  readonly id: number;
  readonly result?: unknown;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly path?: string;
    readonly offset?: number;
  };
}

export const request = (method: string, params: unknown = {}, id = 1): string =>
  JSON.stringify({ v: 1, id, method, params });
