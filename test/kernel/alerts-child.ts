// `subflow run` on a kernel that answers late after SIGUSR2, then not at all, then as ever.
import { runDaemon } from "../../src/daemon/index.ts";
import { loadNative, type NativeAddon, substituteNative } from "../../src/netlink/index.ts";
import { ERRNO } from "../../src/types/index.ts";

/** What a daemon calls slow begins at 50 ms. */
const LATE = 60;
const [, , config = ""] = process.argv;
// The service manager would ask so.
process.env.WATCHDOG_USEC = "2000000";
const addon = loadNative();
const MOODS = ["well", "late", "silent"] as const;
let mood = 0;
process.on("SIGUSR2", () => {
  mood = (mood + 1) % MOODS.length;
  process.stderr.write(`the kernel is ${MOODS[mood]}\n`);
});

const transact: NativeAddon["transact"] = (...request) => {
  // What the addon says when its deadline is over.
  if (MOODS[mood] === "silent") return -ERRNO.EAGAIN;
  if (MOODS[mood] === "late") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LATE);
  return addon.transact(...request);
};

substituteNative({ ...addon, transact });
await runDaemon({ config, overrides: {}, version: "test" });
process.exit(0);
