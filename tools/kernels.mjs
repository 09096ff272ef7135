// `npm run test:kernels [-- three | quick | KERNEL...] [--only WORD,WORD] [--set NAME=VALUE]... [--service] [--out FOLDER]`: boots Debian's kernels in qemu, without KVM, and tries
// there what differs from kernel to kernel. A kernel is a suite ("bookworm"), a series ("6.18"), "newest", or "wifi" (simulated radios). `three` is the oldest, the newest and one
// between, and less of each; `quick` still less (the last step of `npm test`). `--set` is for the tests' environment: `--only differential --set "SCENARIO=port endpoint"` plays those. `--prepare` only gets what is needed. `--service` tries the package under systemd on each too (root, debootstrap). Leaves a report in FOLDER (dist/kernels).
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./setup.mjs";
import { jobImage, projectImage } from "./vm/image.mjs";
import { initScript } from "./vm/init.mjs";
import { isKernelName, KERNEL_NAMES, kernelOf, telling, VmError, WIFI } from "./vm/kernel.mjs";
import { boot, joined, StoppedError, unpack } from "./vm/machine.mjs";
import { built, cache, commit, prepare, systemOf } from "./vm/prepare.mjs";

/** Debian 12, Debian 13, the kernel this is developed on, whatever is newest, and one that has radios. */
const ALL = ["bookworm", "trixie", "6.18", "newest", WIFI];
const THREE = ["bookworm", "trixie", "newest"];
const isOfThree = (word) => word === "three" || word === "quick";
/** How it ends where there can be no machines (tools/test.mjs). */
const NOT_HERE = 77;
/** Seconds for all the jobs of a kernel. */
const TIMEOUT = 3 * 3600;
/**
 * Seconds. A kernel rewrites its own code while it starts, and QEMU 7.2 with several emulated processors runs some of it half written ("Oops: int3" in any
 * function): such a machine is over within seconds, before the first job, and says nothing of the kernel.
 */
const STILLBORN = 30;
const STARTS = 3;

/** Jobs are those of tools/vm/guest.mjs, or test files; `tests`: those of the file whose title has it. What `npm test` can afford: */
const QUICK = [{ job: "status" }, { job: "bpf" }, { job: "kernel/every-kernel", tests: "loss" }];
const SHORT = [
  { job: "status" },
  { job: "bpf" },
  { job: "kernel/every-kernel" },
  { job: "kernel/netem", environment: { WEATHERS: "1%", LOSSES: "carrier", MANAGERS: "userspace" } },
];
/** On the one that has radios, whatever is done on the others. */
const RADIOS = [{ job: "kernel/wifi", environment: { WIFI: "hwsim" } }];
const PLANS = { quick: QUICK, three: SHORT };
const LONG = [
  { job: "status" },
  { job: "bpf" },
  { job: "demo" },
  { job: "kernel/every-kernel" },
  { job: "kernel/restarts", environment: { ROUNDS: "4" } },
  { job: "kernel/survival" },
  { job: "kernel/recovery" },
  { job: "kernel/kill" },
  { job: "kernel/apps" },
  { job: "kernel/listeners" },
  { job: "kernel/lossy-in-kernel" },
  { job: "differential/differential" },
  { job: "kernel/netem" },
];

/** Boots it, again where it died while it started. @returns its seconds of processor time */
async function lived(kernel, initrd, serial) {
  for (let start = 1; ; start++) {
    const since = performance.now();
    const processor = await boot(kernel, initrd, serial, { timeout: TIMEOUT });
    const isStillborn = statSync(serial).size === 0 && performance.now() - since < STILLBORN * 1000;
    if (!isStillborn || start === STARTS) return processor;
    console.error("vm: the machine died while it started: once more");
  }
}

/** @returns what became of each job on this kernel */
async function tryOn({ name, kernel }, { plan, project, out }) {
  const directory = mkdtempSync(join(cache, "run-"));
  const results = join(out, kernel.release);
  rmSync(results, { recursive: true, force: true });
  const start = performance.now();
  let processor = 0;
  try {
    const [job, initrd, serial] = ["job.cpio", "initrd", "serial"].map((file) => join(directory, file));
    const command = ["/usr/bin/node", "tools/vm/guest.mjs", JSON.stringify(plan)];
    jobImage(job, initScript(command, { COMMIT: commit() }));
    joined(initrd, [...systemOf(kernel), project, job]);
    processor = await lived(kernel, initrd, serial);
    unpack(serial, results);
  } catch (error) {
    // The other kernels are tried all the same.
    if (!(error instanceof VmError) || error instanceof StoppedError) throw error;
    console.error(`vm: ${error.message}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const file = join(results, "jobs.json");
  const jobs = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
  const rest = { job: "the machine", passed: false, seconds: 0, notes: ["it ended before all was done"] };
  if (jobs.length < plan.length) jobs.push(rest);
  const seconds = Math.round((performance.now() - start) / 1000);
  return { name, release: kernel.release, jobs, seconds, processor };
}

/** The package under systemd, in a machine of its own. */
function tryService(name, out, release) {
  const start = performance.now();
  const words = ["tools/vm-service.mjs", "--kernel", name, "--keep", join(out, release, "service")];
  const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" });
  const seconds = Math.round((performance.now() - start) / 1000);
  return { job: "service", passed: status === 0, seconds, notes: [] };
}

function table(tried) {
  const jobs = [...new Set(tried.flatMap((each) => each.jobs.map(({ job }) => job)))];
  const cell = ({ jobs: done }, name) => {
    const found = done.find(({ job }) => job === name);
    return found ? `${found.passed ? "ok" : "FAILED"}, ${found.seconds} s` : "";
  };
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const head = ["", ...tried.map(({ release }) => release)];
  return [
    row(head),
    row(head.map(() => "---")),
    ...jobs.map((job) => row([job, ...tried.map((each) => cell(each, job))])),
    row(["with its start", ...tried.map(({ seconds }) => `${seconds} s`)]),
    row(["of processors", ...tried.map(({ processor }) => `${processor} s`)]),
  ];
}

function report(tried) {
  const details = tried.flatMap(({ release, jobs }) => [
    "",
    `## Linux ${release}`,
    ...jobs.flatMap(({ job, passed, notes }) => [
      "",
      `${passed ? "ok" : "FAILED"} ${job}`,
      ...notes.flatMap((note) => note.split("\n")).map((line) => `    ${line}`),
    ]),
  ]);
  const about = `${new Date().toISOString()}, commit ${commit()}, Node ${process.version}, qemu without KVM`;
  return [`# Kernels tried`, "", about, "", ...table(tried), ...details, ""].join("\n");
}

/** @returns the kernels, with all that is needed to boot them; undefined where that cannot be had, which is said */
function got(names) {
  try {
    prepare();
    const kernels = names.map((name) => ({ name, kernel: kernelOf(cache, name) }));
    for (const { kernel } of kernels) systemOf(kernel);
    return kernels;
  } catch (error) {
    // A cache that cannot be written, or a disk that is full, is no mistake of ours either.
    if (!(error instanceof VmError) && error.syscall === undefined) throw error;
    console.error(`vm: no machine for other kernels: ${error.message}`);
    return undefined;
  }
}

/** What `--set NAME=VALUE` says. */
function environmentOf(pairs) {
  const parts = pairs.map((pair) => /^([A-Z][A-Z0-9_]*)=(.*)$/s.exec(pair));
  const wrong = parts.indexOf(null);
  if (wrong >= 0) throw new VmError(`--set ${pairs[wrong]}: it is NAME=VALUE, as in --set SCENARIO=backup`);
  return Object.fromEntries(parts.map(([, name, value]) => [name, value]));
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: "string" },
      set: { type: "string", multiple: true, default: [] },
      prepare: { type: "boolean", default: false },
      service: { type: "boolean", default: false },
      out: { type: "string", default: join(root, "dist", "kernels") },
    },
  });
  const [first] = positionals;
  const names = isOfThree(first) ? THREE : positionals.length > 0 ? positionals : ALL;
  const wrong = names.find((name) => !isKernelName(name));
  if (wrong) throw new VmError(`"${wrong}" is none of: three, quick, ${KERNEL_NAMES}`);
  const words = values.only?.split(",") ?? [""];
  const set = environmentOf(values.set);
  const wanted = (jobs) =>
    jobs
      .filter(({ job }) => words.some((word) => job.includes(word)))
      .map((each) => ({ ...each, environment: { ...each.environment, ...set } }));
  const planOf = (name) => wanted(name === WIFI ? RADIOS : (PLANS[first] ?? LONG));
  if (names.every((name) => planOf(name).length === 0) && !values.service)
    throw new VmError(`--only ${values.only}: there is no such job`);
  const kernels = got(names.filter((name) => planOf(name).length > 0 || values.service));
  if (kernels === undefined) process.exitCode = NOT_HERE;
  if (kernels === undefined || values.prepare) return;
  built();
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  const project = join(cache, `project-${process.pid}.cpio`);
  const tried = [];
  try {
    projectImage(project, root);
    // Never side by side: a test that waits looks again and again, so that two that slow each other down take more than twice as long.
    for (const each of kernels) {
      const one = await tryOn(each, { plan: planOf(each.name), project, out });
      if (values.service && each.name !== WIFI) one.jobs.push(tryService(each.name, out, one.release));
      tried.push(one);
      writeFileSync(join(out, "report.md"), report(tried));
    }
  } finally {
    rmSync(project, { force: true });
  }
  console.log(`\n${table(tried).join("\n")}\n\n${join(out, "report.md")}`);
  const isWell = tried.length === kernels.length && tried.every(({ jobs }) => jobs.every(({ passed }) => passed));
  process.exitCode = isWell ? 0 : 1;
}

await telling(main);
