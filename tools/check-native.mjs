// `npm run check:native`: the answer thread under a storm, built with ThreadSanitizer, then with AddressSanitizer and
// UndefinedBehaviorSanitizer, without Node; then the whole addon in Node, with the last two, which are preloaded. ThreadSanitizer does not
// stand Node's own threads and heap. `check-native.mjs ROUNDS stress|node` does one half.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./setup.mjs";

const native = (name) => join(root, "native", name);
const SOURCES = ["answer", "answerer", "bytes", "receive"].map((name) => native(`${name}.c`));
const FLAGS =
  "-std=gnu11 -O1 -g -Wall -Wextra -Werror -ffreestanding -fno-omit-frame-pointer -D_GNU_SOURCE -pthread".split(" ");
const BUILDS = ["thread", "address,undefined"];
/** As tools/build-native.mjs has them, for a binary that can be looked into. */
const ADDON_FLAGS = [
  ..."-std=c11 -O1 -g -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -ffreestanding -nostdlib".split(" "),
  ..."-fno-stack-protector -fno-omit-frame-pointer -fno-tree-loop-distribute-patterns".split(" "),
  ..."-fsanitize=address,undefined -fno-sanitize-recover=all".split(" "),
];
/** What uses every verb, netlink and the watching thread; what loads nothing of the addon would show nothing. */
const TESTS = ["native", "thread", "subscription"].map((name) => join("dist", "src", "netlink", `${name}.test.js`));

const rounds = process.argv[2] ?? "3000";
const half = process.argv[3];
const directory = mkdtempSync(join(tmpdir(), "subflow-native-"));

function stress() {
  for (const sanitizer of BUILDS) {
    const program = join(directory, "stress");
    const words = [...FLAGS, `-fsanitize=${sanitizer}`, "-fno-sanitize-recover=all", "-o", program];
    execFileSync("gcc", [...words, join(root, "test", "native", "stress.c"), ...SOURCES], { stdio: "inherit" });
    console.log(`${sanitizer}: ${execFileSync(program, [rounds], { encoding: "utf8", timeout: 120_000 }).trim()}`);
  }
}

/** The tests of the addon, in a copy of what was built that has the addon with sanitizers instead. */
function inNode() {
  // One of the tests is another user's process.
  chmodSync(directory, 0o755);
  const prebuilds = join(directory, "prebuilds", `linux-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  for (const name of ["dist", "bin", "package.json"])
    cpSync(join(root, name), join(directory, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const headers = createRequire(import.meta.url)("node-api-headers").include_dir;
  const sources = readdirSync(join(root, "native")).filter((name) => name.endsWith(".c"));
  const output = join(prebuilds, "subflow.node");
  execFileSync("gcc", [...ADDON_FLAGS, "-isystem", headers, "-o", output, ...sources.map(native)], {
    stdio: "inherit",
  });
  const library = (name) => execFileSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
  const report = join(directory, "report");
  const env = {
    ...process.env,
    LD_PRELOAD: `${library("libasan.so")} ${library("libubsan.so")}`,
    // Node gives back nothing at its end.
    ASAN_OPTIONS: `detect_leaks=0:log_path=${report}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${report}`,
  };
  delete env.NODE_TEST_CONTEXT;
  const words = ["--test", "--test-reporter=tap", "--test-timeout=200000", ...TESTS];
  const { status, stdout } = spawnSync(process.execPath, words, {
    cwd: directory,
    env,
    encoding: "utf8",
    timeout: 300_000,
  });
  const reports = readdirSync(directory).filter((name) => name.startsWith("report"));
  const found = reports.map((name) => readFileSync(join(directory, name), "utf8")).join("\n");
  if (status !== 0 || found !== "") throw new Error(`the addon in Node:\n${found}\n${stdout}`);
  console.log(`address,undefined in Node: ${/^# pass (\d+)/m.exec(stdout)?.[1]} tests passed`);
}

try {
  if (half !== "node") stress();
  if (half !== "stress") inNode();
} catch (error) {
  console.error(`check:native failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
