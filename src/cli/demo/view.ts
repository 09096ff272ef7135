import type { Streams } from "../streams.ts";
import { eventLine, frame } from "./report.ts";
import type { DemoState, DemoView } from "./state.ts";

/** A picture every so often is enough for the eye. */
const FRAME_EVERY = 3;

/** One line per event, for pipes and files. */
export function lineView({ out, paint }: Streams): DemoView {
  return {
    event: ({ events }) => out(`${eventLine(events.at(-1)!, paint)}\n`),
    sample: () => {},
  };
}

/** Events scroll by above a picture that is redrawn in place. */
export function pictureView({ out, paint, width }: Streams): DemoView {
  let height = 0;
  let samples = 0;
  const draw = (state: DemoState, above: string): void => {
    const lines = frame(state, paint, width);
    // Up to the picture's first line, clear from there, and write once: no flicker, and the scroll-back stays clean.
    const back = height === 0 ? "" : `\u001b[${height}A\r\u001b[J`;
    out(`${back}${above}${lines.join("\n")}\n`);
    height = lines.length;
  };
  return {
    event: (state) => draw(state, `${eventLine(state.events.at(-1)!, paint)}\n`),
    sample: (state) => {
      if (samples++ % FRAME_EVERY === 0) draw(state, "");
    },
  };
}
