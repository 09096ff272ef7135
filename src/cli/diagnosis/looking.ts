import type { NotLooked } from "../../doctor/index.ts";
import { SubflowError } from "../../types/index.ts";

/** Collects what could not be looked at, with the reason, and goes on with a substitute. */
export class Looking {
  readonly notLooked: NotLooked[] = [];

  at<T>(what: string, look: () => T, otherwise: T): T {
    try {
      return look();
    } catch (error) {
      // A kernel that refuses and a file that may not be read are told of; our own mistakes are not swallowed.
      const isOutside = error instanceof SubflowError || (error as NodeJS.ErrnoException).code !== undefined;
      if (!isOutside) throw error;
      this.skip(what, (error as Error).message);
      return otherwise;
    }
  }

  skip(what: string, why: string): void {
    this.notLooked.push({ what, why });
  }
}
