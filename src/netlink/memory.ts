import { readFileSync } from "node:fs";
import { loadNative } from "./native.ts";

/** A mapping's first line in /proc/PID/smaps (proc(5)): range, permissions, offset, device, inode. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (....) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+)/;

/**
 * Gives back the resident pages of this process that are unchanged copies of files, most of all of the node binary, of which
 * an idle process needs little; returns how many bytes were resident there. They come back from the page cache as they are
 * touched. Meant for once after start-up and when idle: it takes some milliseconds, and the next request is slower for it.
 */
export function releaseCleanPages(): number {
  const native = loadNative();
  let released = 0;
  for (const { start, length, resident } of cleanMappings(readFileSync("/proc/self/smaps", "utf8"))) {
    if (native.forgetPages(start, length) >= 0) released += resident;
  }
  return released;
}

/** Private, not writable, of a file, and never written to (the linker's relocations make a page anonymous). */
export function cleanMappings(smaps: string): { start: number; length: number; resident: number }[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((mapping) => {
    const [, from = "", to = "", permissions = "", inode] = MAPPING.exec(mapping) ?? [];
    const isCleanFile = /^r-.p$/.test(permissions) && inode !== "0" && /^Anonymous: +0 kB$/m.test(mapping);
    const resident = Number(/^Rss: +(\d+) kB$/m.exec(mapping)?.[1] ?? 0) * 1024;
    const start = Number.parseInt(from, 16);
    return isCleanFile ? [{ start, length: Number.parseInt(to, 16) - start, resident }] : [];
  });
}
