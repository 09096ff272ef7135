// `npm pack` and `npm publish` run this first: what is packed is built from the sources, and nothing of an older build
// (a file that has moved, a test) is among it.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { build, must, nodeModules, root } from "./setup.mjs";

nodeModules();
for (const folder of ["src", "bundle", "man", ".tsbuild"])
  rmSync(join(root, "dist", folder), { recursive: true, force: true });
build();
must("manual pages", process.execPath, [join(root, "tools", "man.mjs"), join(root, "dist", "man")]);
