// `npm test`: set up, lint, then every test this machine can run. `npm test -- wire` runs those whose path has "wire".
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { must, PACKAGES, root, run, setup } from "./setup.mjs";

/**
 * Tests of these folders use the kernel. Each works in namespaces of its own, so several files may run side by side; none of them counts on
 * nobody listening to MPTCP events, because one listener anywhere on a host is enough for all of it (genl_has_listeners).
 */
const KERNEL = /\/(kernel|compat|differential)\/|\.kernel\.test\.js$/;
/** Tests of these are no tests of the kernel, but want what is installed while the others run. */
const LATE = /\/test\/package\/|\/sanitizers\.test\.js$/;
/** These take long: begun last, they would run alone while a processor waits. */
const LONG = /\/(simulation|laws|differential|ip-mptcp|faults|deb|quota|plugins|policies-carrying)\.test\.js$/;
/** No test file may take longer than this, in milliseconds: a hang fails instead of holding up the run. */
const TIMEOUT = process.env.SOAK === undefined ? 300_000 : 3_600_000;

function testFiles(directory) {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) return testFiles(path);
    return path.endsWith(".test.js") ? [path] : [];
  });
}

/** @param {number} side files side by side: the kernel's tests wait more than they compute */
function runTests(title, files, side) {
  if (files.length === 0) return 0;
  console.log(`\n# ${title}: ${files.length} files`);
  const reporter = process.env.CI || !process.stdout.isTTY ? "spec" : "dot";
  const env = { ...process.env, SUBFLOW_WARM_UP: "no" };
  const options = [`--test-concurrency=${side}`, `--test-timeout=${TIMEOUT}`, `--test-reporter=${reporter}`];
  return run(process.execPath, ["--enable-source-maps", "--test", ...options, ...files], { show: true, env });
}

setup({ ...PACKAGES.run, ...PACKAGES.test });
// A minute or two of unpacking: meanwhile there is enough to do that needs none of it.
const peers = process.env.EXPECT_KERNEL
  ? once(spawn(process.execPath, [join("tools", "setup.mjs"), "peers"], { stdio: "inherit" }), "exit")
  : undefined;
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
files.sort((one, other) => LONG.test(other) - LONG.test(one));
const isLate = (path) => KERNEL.test(path) || LATE.test(path);
const early = files.filter((path) => !isLate(path));
let failed = runTests("without the kernel", early, 2);
await peers;
failed += runTests("on the kernel, and what was made of all", files.filter(isLate), 3);
process.exit(failed === 0 ? 0 : 1);
