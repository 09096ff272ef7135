// Inside of the machine of `npm run test:kernels`: does one job after the other and leaves what came of each in /results.
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const RESULTS = "/results";
const SUBFLOW = "bin/subflow";
/** Seconds for a test file: emulated processors are some ten times slower. */
const PATIENCE = 2400;

const subflow = (...words) => spawnSync(process.execPath, [SUBFLOW, ...words], { encoding: "utf8" });

/** @returns the end of what was said where it is not as it should be */
function must(holds, said) {
  if (holds) return;
  throw new Error(`${said.stdout ?? said}${said.stderr ?? ""}`.trim().slice(-2000));
}

async function started(words) {
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

/** Which protocol a program gets that asks for TCP (`apps` leaves the loopback address out): what listens is in the list of MPTCP sockets, or not. */
async function isMptcp(port) {
  const server = `require("node:net").createServer().listen(${port}, "0.0.0.0", () => console.log("listens"))`;
  const child = await started(["-e", server]);
  const { apps } = JSON.parse(subflow("-j", "apps", "--all").stdout);
  child.kill();
  return apps.some(({ pid, listens }) => pid === child.pid && listens?.mptcp?.includes(port));
}

const JOBS = {
  status() {
    const json = subflow("-j", "status");
    must(json.status === 0, json);
    writeFileSync(`${RESULTS}/status.json`, json.stdout);
    const { kernel, counters } = JSON.parse(json.stdout);
    const { release: _release, mptcp: _mptcp, ...features } = kernel;
    return [
      Object.entries(features)
        .map(([name, value]) => `${name} ${value}`)
        .join(", "),
      `${Object.keys(counters).length} counters`,
    ];
  },
  demo() {
    const played = subflow("demo");
    must(played.status === 0 && /checksum +equal/.test(played.stdout), played);
    return played.stdout.split("\n").filter((line) => /^(transfer|longest|other|wifi again)/.test(line));
  },
  async bpf() {
    const hasHook = /\bupdate_socket_protocol\b/.test(readFileSync("/proc/kallsyms", "utf8"));
    const enabled = subflow("enable", "--all");
    if (!hasHook) {
      must(enabled.status !== 0 && /no update_socket_protocol, which Linux 6.6/.test(enabled.stderr), enabled);
      return ["no such hook, and that is said"];
    }
    must(enabled.status === 0, enabled);
    must(await isMptcp(4001), "a program that asks for TCP got TCP although it was enabled");
    const disabled = subflow("disable", "--all");
    must(disabled.status === 0, disabled);
    must(!(await isMptcp(4002)), "a program got MPTCP although it was disabled");
    return ["TCP became MPTCP, and TCP again"];
  },
};

/** One test file, or those of its tests whose title has a word. What it says goes into a file, and what became of each test to the line. */
async function testFile({ job: name, environment = {}, tests }) {
  const words = [`--test-timeout=${PATIENCE * 1000}`, "--test-reporter=tap"];
  if (tests !== undefined) words.push(`--test-name-pattern=${tests}`);
  // Without --test it is one process, and not one that starts another.
  const child = spawn(process.execPath, ["--enable-source-maps", ...words, `dist/test/${name}.test.js`], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  mkdirSync(`${RESULTS}/tests`, { recursive: true });
  const file = createWriteStream(`${RESULTS}/tests/${name.replaceAll("/", "-")}.tap`);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      file.write(chunk);
      for (const [line] of chunk.matchAll(/^ *(not )?ok \d+ - .*$/gm)) if (!line.includes("# SKIP")) console.log(line);
    });
  }
  const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE * 1000);
  const status = await new Promise((resolve) => child.once("exit", resolve));
  clearTimeout(late);
  await sleep(50);
  const count = (what) => Number(new RegExp(`^# ${what} (\\d+)`, "m").exec(text)?.[1] ?? 0);
  const failures = [...text.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, title]) => title);
  const said = [...text.matchAll(/^ *# (?!Subtest|tests|suites|pass|fail|cancelled|skipped|todo|duration)(.*)$/gm)];
  const skips = [...text.matchAll(/^ *ok \d+ - (.*) # SKIP (.*)$/gm)].map(
    ([, title, why]) => `skipped: ${title}: ${why}`,
  );
  if (status !== 0 || count("fail") > 0 || count("pass") === 0)
    throw new Error([`${count("fail")} of ${count("tests")} failed`, ...failures].join("\n"));
  return [`${count("pass")} passed, ${count("skipped")} skipped`, ...said.map(([, line]) => line), ...skips];
}

const plan = JSON.parse(process.argv[2]);
const done = [];
for (const each of plan) {
  const { job } = each;
  const start = performance.now();
  console.log(`... ${job}`);
  let outcome;
  try {
    const notes = await (JOBS[job]?.() ?? testFile(each));
    outcome = { job, passed: true, notes };
  } catch (error) {
    outcome = { job, passed: false, notes: [error.message] };
  }
  outcome.seconds = Math.round((performance.now() - start) / 1000);
  done.push(outcome);
  console.log(`${outcome.passed ? "ok  " : "FAIL"} ${job}, ${outcome.seconds} s`);
  if (!outcome.passed) console.log(outcome.notes.join("\n"));
  writeFileSync(`${RESULTS}/jobs.json`, JSON.stringify(done));
}
process.exitCode = done.every(({ passed }) => passed) ? 0 : 1;
