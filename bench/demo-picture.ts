/**
 * Draws docs/demo.svg, the picture that moves: the demo on the real kernel, once with the in-kernel path manager alone and once with Subflow.
 * `npm run bench -- demo-picture [FILE]`. As a machine is, so is the picture: let it rest.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runDemo } from "../src/cli/demo/scenario.ts";
import type { DemoState, ManagerName } from "../src/cli/demo/state.ts";
import { drawMoving, type Moment, type Run } from "./_moving.ts";
import { commit, printMachine } from "./_support.ts";

async function play(manager: ManagerName, title: string): Promise<Run> {
  const moments: Moment[] = [{ at: 0, wifi: 0, cellular: 0 }];
  let begun: number | undefined;
  const times = { cut: 0, back: 0, end: 0 };
  /** The demo's own clock is since its start, which is this much after performance.now()'s. */
  let offset = 0;
  const view = {
    event: ({ events }: DemoState): void => {
      const { source, text, at } = events.at(-1)!;
      if (source === "demo" && text.startsWith("the client connects")) begun = at;
      if (source === "demo" && text.includes("pulled")) times.cut = at - (begun ?? 0);
      if (source === "demo" && text === "wifi is back") times.back = at - (begun ?? 0);
      if (source === "traffic" && text.startsWith("all ")) times.end = at - (begun ?? 0);
      console.log(`${(at / 1000).toFixed(3)} s  ${source}: ${text}`);
    },
    sample: ({ elapsed, paths: [wifi, cellular] }: DemoState): void => {
      offset = performance.now() - elapsed;
      moments.push({ at: elapsed - (begun ?? 0), wifi: wifi.bytes, cellular: cellular.bytes });
    },
  };
  const { isIntact, state } = await runDemo(view, manager);
  if (!isIntact) throw new Error(`${manager}: what arrived is not what was sent`);
  const start = offset + (begun ?? 0);
  const stalls = state.stalls.map((stall) => ({ start: stall.start - start, duration: stall.duration }));
  return { title, moments, ...times, stalls };
}

// The demo's daemons are begun as this program was: it is no `subflow`.
process.argv[1] = join(import.meta.dirname, "..", "..", "bin", "subflow");
printMachine();
const runs = [await play("subflow", "With Subflow"), await play("kernel", "The kernel alone")];
const file = process.argv[2] ?? "docs/demo.svg";
const caption = `Mbit/s over each path, up to 22; red: nothing for 100 ms and more. One run each. ${commit()}`;
writeFileSync(file, drawMoving(runs, caption));
console.log(file);
