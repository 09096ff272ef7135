// `npm test`: set up, lint, then every test this machine can run. `npm test -- wire` runs those whose path has "wire".
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { must, PACKAGES, root, run, setup } from "./setup.mjs";

/** Tests of these folders use the kernel: one at a time, because one listener of MPTCP events anywhere changes every namespace. */
const KERNEL = /\/(kernel|compat|differential)\/|\.kernel\.test\.js$/;
/** No test file may take longer than this, in milliseconds: a hang fails instead of holding up the run. */
const TIMEOUT = process.env.SOAK === undefined ? 300_000 : 3_600_000;

function testFiles(directory) {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) return testFiles(path);
    return path.endsWith(".test.js") ? [path] : [];
  });
}

function runTests(title, files, concurrency) {
  if (files.length === 0) return 0;
  console.log(`\n# ${title}${files.length > 1 ? `: ${files.length} files` : ""}`);
  const reporter = process.env.CI || !process.stdout.isTTY ? "spec" : "dot";
  const options = [`--test-concurrency=${concurrency}`, `--test-timeout=${TIMEOUT}`, `--test-reporter=${reporter}`];
  return run(process.execPath, ["--enable-source-maps", "--test", ...options, ...files], { show: true });
}

setup({ ...PACKAGES.run, ...PACKAGES.test, ...(process.env.EXPECT_KERNEL ? PACKAGES.peers : {}) });
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
if (wanted.length === 0) {
  must("biome check", process.execPath, [
    join("node_modules", "@biomejs", "biome", "bin", "biome"),
    "check",
    "--error-on-warnings",
    ".",
  ]);
}
const files = ["src", "test"]
  .flatMap((directory) => testFiles(join(root, "dist", directory)))
  .filter((path) => wanted.length === 0 || wanted.some((word) => path.includes(word)));
const pure = files.filter((path) => !KERNEL.test(path));
const kernel = files.filter((path) => KERNEL.test(path));
let failed = runTests("without the kernel", pure, 2);
for (const file of kernel) failed += runTests(file.slice(join(root, "dist").length + 1), [file], 1);
process.exit(failed === 0 ? 0 : 1);
