import { rerunRootless } from "../../lab/index.ts";
import type { Context } from "../command.ts";
import { report, reportJson } from "../demo/report.ts";
import { runDemo } from "../demo/scenario.ts";
import { lineView, pictureView } from "../demo/view.ts";
import { EXIT } from "../failure.ts";
import { renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";

/** `demo`. */
export async function run(context: Context): Promise<number> {
  const { global, streams } = context;
  const { values } = parseOptions(context);
  const elsewhere = await rerunRootless();
  if (elsewhere !== undefined) return elsewhere;
  const silent = { event: () => {}, sample: () => {} };
  const view = global.json ? silent : streams.isTerminal ? pictureView(streams) : lineView(streams);
  const result = await runDemo(view, values.kernel ? "kernel" : "subflow");
  if (global.json) streams.out(renderJson(reportJson(result), global.pretty));
  else streams.out(report(result, streams.paint));
  return result.isIntact ? EXIT.success : EXIT.failure;
}
