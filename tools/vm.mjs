// `npm run vm -- [--kernel SUITE|X.Y|newest] [--results FOLDER] COMMAND...`: runs a command of the built project on another kernel, in
// qemu, without KVM: `npm run vm -- --kernel bookworm bin/subflow demo`. Ends with the command's status. What the command leaves in
// /results comes back into FOLDER. Kernels and images are kept in ~/.cache/subflow-vm.
import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { root } from "./setup.mjs";
import { projectImage } from "./vm/image.mjs";
import { initScript } from "./vm/init.mjs";
import { isKernelName, KERNEL_NAMES, kernelOf, telling, VmError } from "./vm/kernel.mjs";
import { boot, joined, unpack } from "./vm/machine.mjs";
import { built, cache, commit, prepare, systemOf } from "./vm/prepare.mjs";

const USAGE =
  "usage: npm run vm -- [--kernel SUITE|X.Y|newest] [--results FOLDER] [--env NAME=VALUE] [--timeout SECONDS] [--refresh] COMMAND...";

function options(words) {
  const found = { kernel: "newest", results: undefined, env: {}, timeout: 1800, refresh: false, command: [] };
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const value = () => {
      const next = words[++at];
      if (next === undefined) throw new VmError(`${word} needs a value\n${USAGE}`);
      return next;
    };
    if (word === "--kernel") found.kernel = value();
    else if (word === "--results") found.results = resolve(value());
    else if (word === "--timeout") found.timeout = Number(value());
    else if (word === "--refresh") found.refresh = true;
    else if (word === "--env") {
      const [name, ...rest] = value().split("=");
      found.env[name] = rest.join("=");
    } else if (word.startsWith("--")) throw new VmError(`unknown option ${word}\n${USAGE}`);
    else {
      found.command = words.slice(at);
      break;
    }
  }
  if (found.command.length === 0) throw new VmError(USAGE);
  if (!isKernelName(found.kernel)) throw new VmError(`--kernel: "${found.kernel}" is none of: ${KERNEL_NAMES}`);
  if (!(found.timeout > 0)) throw new VmError("--timeout: a number of seconds");
  return found;
}

async function main() {
  const wanted = options(process.argv.slice(2));
  prepare();
  built();
  const kernel = kernelOf(cache, wanted.kernel, wanted);
  const directory = mkdtempSync(join(cache, "run-"));
  try {
    const [project, initrd, serial] = ["project.cpio", "initrd", "serial"].map((name) => join(directory, name));
    projectImage(project, root, initScript(wanted.command, { COMMIT: commit(), ...wanted.env }));
    joined(initrd, [...systemOf(kernel), project]);
    await boot(kernel, initrd, serial, { timeout: wanted.timeout });
    process.exitCode = unpack(serial, wanted.results);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await telling(main);
