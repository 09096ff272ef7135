// A daemon that is not root, as far as its plug-ins see one: it gives up its rights, then begins a process, which says what it may.
import { dropCapabilities } from "../../src/daemon/capabilities.ts";
import { Supervisor } from "../../src/daemon/plugins/supervisor.ts";

const supervisor = new Supervisor({
  words: ["/bin/cat", "/proc/self/status"],
  onOutput: (chunk) => {
    process.stdout.write(chunk);
    supervisor[Symbol.dispose]();
    process.exit(0);
  },
  onErrors: (chunk) => process.stderr.write(chunk),
  onFailure: (error) => {
    throw error;
  },
});
dropCapabilities({ seesProcesses: false });
supervisor.start();
// What it waits for does not keep the loop alive.
setTimeout(() => process.exit(1), 60_000);
