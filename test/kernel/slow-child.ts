// `subflow run` on a machine on which each step of the warm-up takes long.
import { runDaemon } from "../../src/daemon/index.ts";

const [, , config = "", milliseconds = "0"] = process.argv;

function spin(): void {
  const end = performance.now() + Number(milliseconds);
  while (performance.now() < end);
}

await runDaemon({ config, overrides: { path_manager: "userspace" }, version: "test", onWarmUpStep: spin });
process.exit(0);
