// `npm run check`: what a commit needs and no kernel: compile, lint, tidy.
import { join } from "node:path";
import { build, must, nodeModules, run } from "./setup.mjs";

nodeModules();
build();
must(
  "biome check",
  process.execPath,
  [join("node_modules", "@biomejs", "biome", "bin", "biome"), "check", "--error-on-warnings", "."],
  {
    show: true,
  },
);
process.exit(run(process.execPath, [join("tools", "test.mjs"), "tidy", "engine", "wire"], { show: true }));
