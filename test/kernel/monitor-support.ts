import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getPriority } from "node:os";
import type { Host, Lab } from "../../src/lab/index.ts";
import { DEADLINE, SUBFLOW } from "./daemon-support.ts";

/** NETLINK_GENERIC (linux/netlink.h). */
const GENERIC = 16;

/** `subflow monitor`, with what it has printed. */
export class Monitor {
  readonly #lab: Lab;
  readonly #process: ChildProcess;
  text = "";
  errors = "";

  constructor(lab: Lab, host: Host, ...words: string[]) {
    this.#lab = lab;
    this.#process = host.spawn([process.execPath, SUBFLOW, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    this.#process.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      this.text += chunk;
    });
    this.#process.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      this.errors += chunk;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** How far it steps back (nice(2)). */
  get priority(): number {
    return getPriority(this.pid);
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  /** Has it a socket that listens to a group of generic netlink? */
  get isListening(): boolean {
    const inodes = new Set(
      readFileSync(`/proc/${this.pid}/net/netlink`, "latin1")
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter(([, protocol, , groups]) => Number(protocol) === GENERIC && Number.parseInt(groups ?? "0", 16) !== 0)
        .map((columns) => columns.at(-1)),
    );
    return readdirSync(`/proc/${this.pid}/fd`).some((fd) => {
      try {
        return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${this.pid}/fd/${fd}`))?.[1] ?? "");
      } catch {
        return false; // closed meanwhile
      }
    });
  }

  prints(pattern: RegExp): Promise<unknown> {
    return this.#lab.waitFor(() => pattern.test(this.text), DEADLINE, `${pattern} of the monitor:\n${this.text}`);
  }

  /** On its standard error. */
  says(pattern: RegExp): Promise<unknown> {
    return this.#lab.waitFor(
      () => pattern.test(this.errors),
      2 * DEADLINE,
      `${pattern} on stderr of the monitor:\n${this.errors}`,
    );
  }

  /** What it has said so far is known. */
  clearErrors(): void {
    this.errors = "";
  }

  /** Nobody takes what it prints, as on a terminal after ^S; and again somebody does. */
  pause(): void {
    this.#process.stdout!.pause();
  }

  resume(): void {
    this.#process.stdout!.resume();
  }

  async end(): Promise<number | null> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGINT");
    return (await ended)[0] as number | null;
  }
}
