import { renameSync, rmSync, writeFileSync } from "node:fs";
import { ask, changes } from "../../client/index.ts";
import { listFallen, readCounters } from "../../netlink/index.ts";
import { SubflowError, type WatchedSubflow } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, wrongArgument } from "../failure.ts";
import type { GlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { isLoopback, listen, placeArgument, untilSignal } from "../listening.ts";
import { exposition, type Format } from "../metrics/exposition.ts";
import { Fallen } from "../metrics/fallen.ts";
import { families } from "../metrics/families.ts";
import { metricsServer } from "../metrics/server.ts";
import { Tally } from "../metrics/tally.ts";
import { parseOptions } from "../options.ts";

const LISTEN = "127.0.0.1:9822";
/** Connections are measured so often: what a scraper asks for is seldom more. Milliseconds. */
const PACE = 5000;
/** Names of interfaces are read anew after so long. */
const FRESH = 5000;
/** A first text waits so long for the daemon to tell of everything. */
const FIRST = 5000;
const SECONDS = { default: 15, min: 1, max: 3600 } as const;

/** `metrics`: until SIGTERM or ^C, unless once. */
export async function run(context: Context): Promise<number> {
  const { values } = parseOptions(context);
  const { streams } = context;
  const modes = ["listen", "socket", "textfile"].filter((name) => values[name] !== undefined);
  if (modes.length > 1) throw wrongArgument(`--${modes[1]}`, `one of --${modes.join(", --")} is enough`);
  const address = loopbackOption(values.listen ?? LISTEN);
  const seconds = secondsOption(values.interval);
  const stopped = new AbortController();
  const source = new Source(context, stopped.signal);
  try {
    if (values.once !== undefined) {
      const text = await source.text(values.textfile === undefined ? "openmetrics" : "text");
      if (values.textfile === undefined) streams.out(text);
      else replace(values.textfile, text);
      return EXIT.success;
    }
    const ended = untilSignal().then(() => stopped.abort());
    if (values.textfile !== undefined) await writeAgainAndAgain(source, values.textfile, seconds, stopped.signal);
    else {
      const isLoopback = values.socket === undefined;
      const server = metricsServer((format) => source.text(format), isLoopback);
      await listen(server, values.socket === undefined ? address : { path: values.socket });
      streams.err(isLoopback ? `metrics: http://${values.listen ?? LISTEN}/metrics\n` : `metrics: ${values.socket}\n`);
      await ended;
      server.closeAllConnections();
      server.close();
      if (values.socket !== undefined) rmSync(values.socket, { force: true });
    }
    return EXIT.success;
  } finally {
    stopped.abort();
  }
}

/** Counts what the daemon tells, from the beginning on; asks the rest when somebody wants to know. */
class Source {
  readonly #global: GlobalOptions;
  readonly #streams: Context["streams"];
  readonly #signal: AbortSignal;
  readonly #tally: Tally;
  readonly #fallen: Fallen;
  readonly #first: Promise<void>;
  #interfaces: { readonly at: number; readonly read: Interfaces } | undefined;

  constructor({ global, streams }: Context, signal: AbortSignal) {
    this.#global = global;
    this.#streams = streams;
    this.#signal = signal;
    this.#tally = new Tally((subflow) => this.#interfaceOf(subflow));
    this.#fallen = new Fallen(
      () => listFallen(global.netns),
      () => performance.now(),
    );
    this.#first = new Promise((resolve) => {
      setTimeout(resolve, FIRST).unref();
      void this.#follow(resolve);
    });
  }

  async text(format: Format): Promise<string> {
    await this.#first;
    const { netns } = this.#global;
    const hello = await ask("hello", {}, { netns, signal: this.#signal }).catch((error: unknown) => {
      if (error instanceof SubflowError) return undefined;
      throw error;
    });
    const tally = this.#tally;
    const counters = readCounters(netns);
    const fallen = this.#fallen.count(counters, tally.fallen, tally.isLimited ? process.getuid?.() : undefined);
    return exposition(families({ tally, hello, counters, fallen }), format);
  }

  /** Where there is no daemon that may be asked, there is nothing to count. */
  async #follow(onFirst: () => void): Promise<void> {
    const { netns } = this.#global;
    for (; !this.#signal.aborted; ) {
      try {
        for await (const change of changes({ netns, pace: PACE, signal: this.#signal })) {
          this.#tally.take(change);
          if (change.type === "connected" && change.isLimited) this.#warn();
          if (change.type === "complete" || change.type === "disconnected") onFirst();
        }
      } catch (error) {
        if (!(error instanceof SubflowError)) throw error;
        onFirst();
        await new Promise((resolve) => setTimeout(resolve, FRESH).unref());
      }
    }
  }

  #warn(): void {
    this.#streams.err("Warning: only connections of this user are counted; run it in the daemon's group for all.\n");
  }

  #interfaceOf({ path, interfaceIndex }: WatchedSubflow): string | undefined {
    const now = Date.now();
    if (!this.#interfaces || now - this.#interfaces.at > FRESH) {
      this.#interfaces = { at: now, read: new Interfaces(this.#global) };
    }
    const { read } = this.#interfaces;
    const index = interfaceIndex || read.holder(path.local.address);
    return index === undefined ? undefined : read.name(index);
  }
}

async function writeAgainAndAgain(source: Source, file: string, seconds: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    replace(file, await source.text("text"));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

/** In one step: who reads it meanwhile has the whole of the one or of the other. */
function replace(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(fresh, text, { mode: 0o644 });
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw failure(`Error: cannot write ${file}: ${(error as Error).message}.`);
  }
}

/** Whoever can reach more than this host would let others read it: a reverse proxy does that, with a lock on its door. */
function loopbackOption(text: string): { host: string; port: number } {
  const place = placeArgument(text, LISTEN);
  if (!isLoopback(place.host)) {
    throw wrongArgument(
      text,
      "only loopback addresses are listened at; let a reverse proxy with TLS and a password stand before it",
    );
  }
  return place;
}

function secondsOption(text: string | undefined): number {
  const seconds = Number(text ?? SECONDS.default);
  if (!(seconds >= SECONDS.min && seconds <= SECONDS.max)) {
    throw wrongArgument(text ?? "", `${SECONDS.min} to ${SECONDS.max} seconds are possible`);
  }
  return seconds;
}
