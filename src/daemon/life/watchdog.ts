import type { WatchdogUse } from "../../types/index.ts";
import { notify } from "./notify.ts";

/**
 * Tells the service manager at half its interval that the daemon works (sd_watchdog_enabled(3)): from a turn of the loop that
 * serves, and only when the kernel answered in it. Does nothing where nobody asked (`WatchdogSec=`).
 */
export class Watchdog implements Disposable {
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #interval: number | undefined;
  #told = 0;
  #missed = 0;

  /** @param isServing whether the daemon does its work at this moment, found out by doing some */
  constructor(isServing: () => boolean) {
    const interval = intervalOf(process.env);
    if (interval === undefined) return;
    this.#interval = interval;
    const tell = (): void => {
      if (!isServing()) {
        this.#missed++;
        return;
      }
      this.#told++;
      notify("WATCHDOG=1");
    };
    tell();
    this.#timer = setInterval(tell, interval / 2).unref();
  }

  /** undefined: nobody asked. */
  get use(): WatchdogUse | undefined {
    return this.#interval === undefined
      ? undefined
      : { interval: this.#interval, told: this.#told, missed: this.#missed };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Milliseconds; undefined: not asked, or another process is meant. */
export function intervalOf({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  if (!(microseconds > 0) || (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid)) return undefined;
  return microseconds / 1000;
}
