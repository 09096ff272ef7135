import type { Memory } from "../../host/index.ts";
import type { HostBeginning } from "../../recording/index.ts";

/** What the engine of a host begins with, cut loose from what it goes on with. */
export function hostBeginning(
  memory: Memory,
  rest: Pick<HostBeginning, "capacity" | "closesSubflows" | "sysctls">,
): Omit<HostBeginning, "config"> {
  const { afterCrash, yielded } = memory;
  return { saved: memory.saved(undefined), afterCrash, yielded: [...yielded], ...rest };
}
