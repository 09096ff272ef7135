import { REST } from "../host/index.ts";
import { NetlinkError, NetnsError, type Rtnl } from "../netlink/index.ts";
import type { Millis } from "../types/index.ts";
import { followed, RouteModel, type RouteScope } from "./route-model.ts";

/** Reading that takes less is done in one go, and so much of one that takes more. */
const FREE: Millis = 5;
/** Between two pieces the loop has as much time as a piece took, and at least this. */
const BREATH: Millis = 1;

const RETRY: Millis = 1000;

/** Who is told of what cannot be read. */
export interface Warnings {
  warn(text: string): void;
}

export interface RouteReaderOptions {
  readonly rtnl: Rtnl;
  /** Where to look, when a reading begins. */
  readonly scope: () => RouteScope;
  readonly now: () => Millis;
  readonly log: Warnings;
  /** A reading that was asked for is over. */
  readonly onRead: (routes: RouteModel) => void;
}

/**
 * Reads the routes anew when somebody doubts what is known. A full routing table takes the kernel a second: then it is read
 * piece by piece, between whatever else there is to do, and what is heard meanwhile is told to {@link reading} too.
 */
export class RouteReader implements Disposable {
  readonly #options: RouteReaderOptions;
  #cost: Millis = 0;
  #endedAt: Millis = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #pieces: Generator<void> | undefined;
  #reading: RouteModel | undefined;
  #again = false;

  constructor(options: RouteReaderOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  /** What is being read: changes that are heard of meanwhile belong into it. */
  get reading(): RouteModel | undefined {
    return this.#reading;
  }

  /** Reads everything now. Takes the place of a reading under way. */
  readNow(): RouteModel {
    this.#stop();
    const began = this.#options.now();
    const [model, pieces] = this.#begin();
    while (!pieces.next().done);
    this.#ended(this.#options.now() - began);
    return model;
  }

  /** Asks for a reading: the first at once, the next not before the costs of the last are forgotten. */
  ask(): void {
    if (this.#pieces) this.#again = true;
    if (this.#pieces || this.#timer) return;
    const wait = this.#endedAt + REST * this.#cost - this.#options.now();
    if (wait <= 0) this.#start();
    else this.#timer = setTimeout(() => this.#start(), wait);
  }

  #begin(): [RouteModel, Generator<void>] {
    const { rtnl, scope } = this.#options;
    const model = new RouteModel();
    const where = scope();
    const pieces = rtnl.readRoutes(
      followed(where),
      (head) => model.wants(head),
      (route) => model.add(route),
      where.local,
    );
    return [model, pieces];
  }

  #start(): void {
    this.#timer = undefined;
    [this.#reading, this.#pieces] = this.#begin();
    this.#again = false;
    this.#step(0);
  }

  #step(cost: Millis): void {
    const { now, onRead } = this.#options;
    const [model, pieces] = [this.#reading, this.#pieces];
    if (!model || !pieces) return;
    const began = now();
    let isDone = false;
    try {
      do isDone = pieces.next().done === true;
      while (!isDone && now() - began < FREE);
    } catch (error) {
      return this.#fail(error);
    }
    const took = now() - began;
    if (!isDone) {
      this.#timer = setTimeout(() => this.#step(cost + took), Math.max(BREATH, took));
      return;
    }
    const again = this.#again;
    this.#stop();
    this.#ended(cost + took);
    onRead(model);
    if (again) this.ask();
  }

  /** What is known stays, and is as doubtful as before. */
  #fail(error: unknown): void {
    if (!(error instanceof NetlinkError || error instanceof NetnsError)) throw error;
    this.#options.log.warn(`the routes cannot be read anew, and will be tried again: ${error.message}`);
    this.#stop();
    this.#timer = setTimeout(() => this.#start(), RETRY);
  }

  #ended(cost: Millis): void {
    this.#cost = cost;
    this.#endedAt = this.#options.now();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pieces?.return(undefined);
    this.#pieces = undefined;
    this.#reading = undefined;
    this.#again = false;
  }
}
