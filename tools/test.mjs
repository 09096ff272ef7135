// `npm test`: set up, lint, then every test this machine can run, then what proves that it runs on the oldest kernel, the newest and one between.
// `npm test -- wire` runs the tests whose path has "wire", `npm test -- kernels` the other kernels alone; KERNELS=none leaves those out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
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

/**
 * What differs from kernel to kernel, on three of them (tools/kernels.mjs), as far as it is cheap. CI gives a run a quarter of an hour, of which the tests
 * before take twelve minutes: there it is tried where KERNELS asks for it.
 */
const { KERNELS: asked = process.env.CI || process.env.EXPECT_KERNEL ? "none" : "quick" } = process.env;
/** How tools/kernels.mjs ends where there can be no machines: no qemu, no Debian archive, another processor. */
const NOT_HERE = 77;

/** What may be got while there is enough to do that needs none of it: other path managers, and other kernels. */
function getting(isTried) {
  const peers = process.env.EXPECT_KERNEL ? ["node tools/setup.mjs peers"] : [];
  const kernels = isTried ? [`nice node tools/kernels.mjs quick --prepare`] : [];
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
  const child = spawn("sh", ["-c", [...peers, ...kernels].join("; ")], { stdio: "inherit", env });
  return once(child, "exit").then(([status]) => (isTried ? status : 0));
}

/** @returns 0 as well where it cannot be tried and nobody insists, which is said */
function onOtherKernels(status, isAskedFor) {
  console.log("\n# on the oldest kernel, the newest, and one between");
  const command = [join("tools", "kernels.mjs"), "quick"];
  const outcome = status || run(process.execPath, command, { show: true });
  if (outcome !== NOT_HERE || isAskedFor) return outcome;
  console.log("# SKIP other kernels: above it says why; `npm run test:kernels -- three` tries again");
  return 0;
}

setup({ ...PACKAGES.run, ...PACKAGES.test });
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const isTried = wanted.length === 0 ? asked !== "none" : wanted.includes("kernels");
const got = getting(isTried);
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
  .filter((path) => wanted.length === 0 || wanted.some((word) => relative(root, path).includes(word)));
files.sort((one, other) => LONG.test(other) - LONG.test(one));
const isLate = (path) => KERNEL.test(path) || LATE.test(path);
const early = files.filter((path) => !isLate(path));
let failed = runTests("without the kernel", early, 2);
const status = await got;
failed += runTests("on the kernel, and what was made of all", files.filter(isLate), 3);
if (isTried) failed += onOtherKernels(status, wanted.length > 0);
else if (wanted.length === 0)
  console.log("\n# SKIP other kernels: `npm test -- kernels` tries them alone, about two minutes");
process.exit(failed === 0 ? 0 : 1);
