// `subflow run` in which one thing fails: a system call of the addon, an access to a file, a datagram, our own code.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { runDaemon } from "../../src/daemon/index.ts";
import { loadNative, type NativeAddon, substituteNative } from "../../src/netlink/index.ts";
import { RECORD } from "../../src/netlink/native.ts";
import { errnoName } from "../../src/types/index.ts";

/** What is to fail. */
export interface Fault {
  readonly kind: "none" | "native" | "file" | "datagram" | "fault" | "rejection";
  /** Which one of its kind, from 0. */
  readonly nth: number;
  readonly seed: number;
}

const { kind, nth, seed } = JSON.parse(process.argv[2] ?? "") as Fault;
const config = process.argv[3] ?? "";
const pathManager = process.argv[4] === "userspace" ? "userspace" : "kernel";
const counts = { native: 0, file: 0, datagram: 0 };

function isTurn(what: keyof typeof counts): boolean {
  return counts[what]++ === nth && kind === what;
}

function say(what: string): void {
  fs.writeSync(2, `${what}\n`);
}

/** ENOMEM, EINTR, EPERM, ENOBUFS, EAGAIN, EBUSY. */
const NATIVE_ERRORS = [12, 4, 1, 105, 11, 16];
/** ENOMEM, EINTR, ENOBUFS, EAGAIN (which is a timeout there). */
const LATE_ERRORS = [12, 4, 105, 11];
const FILE_ERRORS: readonly (readonly [string, number])[] = [
  ["EIO", 5],
  ["ENOSPC", 28],
  ["EACCES", 13],
  ["EMFILE", 24],
];
/** No system calls, or such as cannot fail. */
const NEVER = new Set(["close", "unwatch", "ref", "unref", "withdraw", "release", "prepare", "watch"]);

function failing(addon: NativeAddon): NativeAddon {
  const verbs: Record<string, unknown> = {};
  for (const [name, verb] of Object.entries(addon as unknown as Record<string, (...values: unknown[]) => unknown>)) {
    verbs[name] = NEVER.has(name)
      ? verb
      : (...values: unknown[]) => {
          if (!isTurn("native")) return verb(...values);
          // The kernel did it, and only the answer is lost: with errors that say so.
          const isLate = name === "transact" && seed % 2 === 1;
          const errors = isLate ? LATE_ERRORS : NATIVE_ERRORS;
          const errno = errors[(seed >> 1) % errors.length]!;
          say(`fault: ${name} fails with ${errnoName(errno)}${isLate ? ", afterwards" : ""}`);
          if (isLate) verb(...values);
          return -errno;
        };
  }
  const watch: NativeAddon["watch"] = (fd, slab, callback, spin) => {
    const spoil = (from: number, to: number): void => {
      // As the kernel of another version might write it: the first message's length is wrong.
      if (slab[from + 4] === RECORD.DATAGRAM && isTurn("datagram")) {
        say("fault: a datagram cannot be decoded");
        slab[from + RECORD.HEADER] = seed % 16;
      }
      callback(from, to);
    };
    return addon.watch(fd, slab, spoil, spin);
  };
  return { ...(verbs as unknown as NativeAddon), watch };
}

const FILE_CALLS = [
  "readFileSync",
  "writeFileSync",
  "openSync",
  "renameSync",
  "rmSync",
  "mkdirSync",
  "readdirSync",
  "lstatSync",
  "statSync",
  "fstatSync",
  "fchmodSync",
  "ftruncateSync",
] as const;

function failFiles(): void {
  const calls = fs as unknown as Record<string, (...values: unknown[]) => unknown>;
  for (const name of FILE_CALLS) {
    const call = calls[name]!;
    calls[name] = (...values) => {
      if (!isTurn("file")) return call.apply(fs, values);
      const [code, errno] = FILE_ERRORS[(seed >> 1) % FILE_ERRORS.length]!;
      say(`fault: ${name} ${String(values[0])} fails with ${code}`);
      throw Object.assign(new Error(`${code}: made up, ${name}`), { code, errno: -errno, syscall: name });
    };
  }
  syncBuiltinESMExports();
}

substituteNative(failing(loadNative()));
failFiles();
process.on("exit", () => say(`counts ${JSON.stringify(counts)}`));
process.on("SIGUSR2", () => {
  if (kind === "fault") setTimeout(() => (undefined as unknown as { value: number }).value);
  if (kind === "rejection") void Promise.reject(new TypeError("rejected"));
});
try {
  await runDaemon({ config, overrides: { path_manager: pathManager }, version: "test" });
  process.exit(0);
} catch (error) {
  say((error as Error).message);
  process.exit(1);
}
