// `npm run bench`: lists the benchmarks; `npm run bench -- NAME [ARGUMENT...]` runs one.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PACKAGES, root, run, setup } from "./setup.mjs";

setup({ ...PACKAGES.run, ...PACKAGES.bench });
const directory = join(root, "dist", "bench");
const [name, ...rest] = process.argv.slice(2);
const file = join(directory, `${name}.js`);
if (name === undefined || !existsSync(file)) {
  const names = readdirSync(directory)
    .filter((entry) => entry.endsWith(".js") && !entry.startsWith("_"))
    .map((entry) => entry.slice(0, -3));
  console.error(`usage: npm run bench -- NAME, with NAME one of: ${names.join(", ")}`);
  process.exit(name === undefined ? 0 : 255);
}
const env = { ...process.env };
// An extra certificate file costs Node 20 some 39 ms at every start: it has no part in what is measured.
delete env.NODE_EXTRA_CA_CERTS;
process.exit(run(process.execPath, ["--expose-gc", file, ...rest], { show: true, env }));
