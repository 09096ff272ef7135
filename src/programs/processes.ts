import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeProgram, obstacle } from "./program.ts";

/** A running program, as /proc shows it. */
export interface Process {
  readonly pid: number;
  /** comm of proc(5): at most 15 bytes. */
  readonly name: string;
  /** Its effective user, as a number. */
  readonly uid: number;
  /** The systemd service that it belongs to: "nginx.service". */
  readonly unit: string | undefined;
  /** Why `subflow exec` would not help; undefined also where that may not be looked at. */
  readonly obstacle: string | undefined;
  /** Inodes of the sockets it holds. */
  readonly sockets: ReadonlySet<number>;
}

/** What may be looked at, and how many processes may not. */
export interface Processes {
  readonly found: readonly Process[];
  readonly hidden: number;
}

/**
 * Every process that holds one of these sockets. A process that ends meanwhile is none.
 * @param proc another /proc, for tests
 */
export function processesWith(inodes: ReadonlySet<number>, proc = "/proc"): Processes {
  const found: Process[] = [];
  let hidden = 0;
  for (const name of readdirSync(proc)) {
    if (!/^\d+$/.test(name)) continue;
    const sockets = socketsOf(join(proc, name), inodes);
    if (sockets === undefined) hidden++;
    else if (sockets.size > 0) {
      const process = describe(join(proc, name), Number(name), sockets);
      if (process) found.push(process);
    }
  }
  return { found: found.sort((one, other) => one.pid - other.pid), hidden };
}

/** undefined: not ours to look at. */
function socketsOf(folder: string, wanted: ReadonlySet<number>): Set<number> | undefined {
  const sockets = new Set<number>();
  let names: string[];
  try {
    names = readdirSync(join(folder, "fd"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? undefined : sockets;
  }
  for (const name of names) {
    const inode = Number(/^socket:\[(\d+)\]$/.exec(linkOf(join(folder, "fd", name)) ?? "")?.[1]);
    if (wanted.has(inode)) sockets.add(inode);
  }
  return sockets;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function describe(folder: string, pid: number, sockets: ReadonlySet<number>): Process | undefined {
  try {
    const name = readFileSync(join(folder, "comm"), "utf8").trimEnd();
    const { uid } = statSync(folder);
    return {
      pid,
      name,
      uid,
      unit: unitOf(readFileSync(join(folder, "cgroup"), "latin1")),
      obstacle: obstacleOf(folder),
      sockets,
    };
  } catch {
    return undefined;
  }
}

/** The innermost service in a line of /proc/PID/cgroup: "0::/system.slice/nginx.service". */
export function unitOf(cgroup: string): string | undefined {
  const path = /^0::(.*)$/m.exec(cgroup)?.[1] ?? "";
  // What a user's own manager runs is none of the system's services.
  if (/\/user@\d+\.service\//.test(path)) return undefined;
  return path.split("/").findLast((part) => part.endsWith(".service"));
}

function obstacleOf(folder: string): string | undefined {
  const link = join(folder, "exe");
  const program = describeProgram(link);
  return program && obstacle({ ...program, path: linkOf(link) ?? link });
}
