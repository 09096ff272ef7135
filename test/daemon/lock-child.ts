// Takes and gives back a daemon's lock, over and over; while it has it, it must be alone.
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeFiles } from "../../src/control/index.ts";
import { AlreadyRunningError, removeFiles, takeLock } from "../../src/daemon/files/runtime.ts";

const [, , directory = "", rounds = "0"] = process.argv;
const base = join(directory, "1");
const files: RuntimeFiles = {
  directory,
  socket: `${base}.sock`,
  applications: `${base}.apps.sock`,
  lock: `${base}.lock`,
  state: `${base}.json`,
};
const marker = join(directory, "inside");

for (let left = Number(rounds); left > 0; ) {
  let fd: number;
  try {
    fd = takeLock(files);
  } catch (error) {
    if (error instanceof AlreadyRunningError) continue;
    throw error;
  }
  left--;
  // Fails when somebody else is inside: then two daemons would have run.
  closeSync(openSync(marker, "wx"));
  rmSync(marker);
  removeFiles(files, { state: true });
  closeSync(fd);
}
