// `npm run soak`: the long versions of the tests that have one, one after another; `npm run soak -- restarts fuzz` runs those.
import { join } from "node:path";
import { PACKAGES, root, run, setup } from "./setup.mjs";

/** What there is, by name: the compiled test, and what it plays. */
const SOAKS = {
  restarts: ["kernel/restarts", "1,000 rounds of stop, kill and pause under traffic in both modes"],
  outages: ["kernel/outages", "1 to 3 links lost for 0.5 to 120 s in every way, beside the kernel alone"],
  faults: ["kernel/faults", "every system call of a daemon's life fails once"],
  fuzz: ["control/fuzz", "1,000,000 requests to the control socket"],
};
/** Not a test, but what finds inputs for one: they are kept in test/fuzz/corpus. */
const DECODERS = "decoders";
SOAKS[DECODERS] = [
  "fuzz/run.js",
  "five minutes for each decoder, the configuration, recordings and the engine, guided by coverage",
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(SOAKS, name));
if (unknown.length > 0) {
  console.error(`no soak is called ${unknown.join(", ")}; there are:`);
  for (const [name, [, what]] of Object.entries(SOAKS)) console.error(`  ${name.padEnd(10)}${what}`);
  process.exit(255);
}
setup({ ...PACKAGES.run, ...PACKAGES.test });
const env = { ...process.env, SOAK: "1", EXPECT_KERNEL: "1" };
const results = [];
for (const name of wanted.length > 0 ? wanted : Object.keys(SOAKS)) {
  const [test, what] = SOAKS[name];
  console.log(`\n# ${name}: ${what}`);
  const words =
    name === DECODERS
      ? [join(root, "dist", "test", test), "--seconds", "300"]
      : ["--test", "--test-reporter=spec", join(root, "dist", "test", `${test}.test.js`)];
  const start = performance.now();
  const status = run(process.execPath, ["--enable-source-maps", ...words], { show: true, env });
  results.push({ name, status, seconds: Math.round((performance.now() - start) / 1000) });
}
console.log("\n# Summary");
for (const { name, status, seconds } of results) {
  console.log(`${name.padEnd(10)}${status === 0 ? "passed" : "FAILED"}  ${seconds} s`);
}
process.exit(results.every(({ status }) => status === 0) ? 0 : 1);
