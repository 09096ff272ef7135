import { getPriority, setPriority } from "node:os";

/** What a viewer lets go before it: on a machine with few processors the daemon, and whoever does work. */
const NICE = 10;

/** Lowers the priority of this process, and of what it starts. Where that is refused everything goes on as before. */
export function stepBack(): void {
  try {
    if (getPriority() < NICE) setPriority(NICE);
  } catch {
    // Only a courtesy.
  }
}
