import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/** Where cgroup v2 is mounted: alone, or beside v1 (systemd's hybrid hierarchy). */
const MOUNTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/** cgroups that are remembered; a host with more reads them anew now and then. */
const KNOWN_MAX = 10_000;

function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}

/** Paths of cgroups by their ids, which are inode numbers of their folders (kernfs). */
export class CgroupPaths {
  readonly #root = MOUNTS.find((mount) => orNothing(() => statSync(join(mount, "cgroup.controllers")), undefined));
  readonly #known = new Map<number, string>();

  /** "/system.slice/nginx.service"; undefined: not to be found. */
  pathOf(id: number): string | undefined {
    if (!this.#known.has(id)) this.#read();
    return this.#known.get(id);
  }

  #read(): void {
    this.#known.clear();
    if (this.#root !== undefined) this.#walk(this.#root, "/");
  }

  #walk(root: string, path: string): void {
    if (this.#known.size >= KNOWN_MAX) return;
    const folder = join(root, path);
    const id = orNothing(() => statSync(folder).ino, undefined);
    if (id !== undefined) this.#known.set(id, path);
    for (const entry of orNothing(() => readdirSync(folder, { withFileTypes: true }), []))
      if (entry.isDirectory()) this.#walk(root, join(path, entry.name));
  }
}

/** The processes of this host, newest first: who asks has begun of late. */
export function processIds(): readonly number[] {
  const names = orNothing(() => readdirSync("/proc"), []);
  return names.flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : [])).sort((a, b) => b - a);
}

/** Has the process the socket of this inode number? undefined: it does not let us look. */
export function hasSocket(pid: number, inode: number): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  const wanted = `socket:[${inode}]`;
  try {
    return readdirSync(folder).some((fd) => orNothing(() => readlinkSync(`${folder}/${fd}`), "") === wanted);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? undefined : false;
  }
}

/** Name of a process's command (at most 15 characters); undefined: it is gone. */
export function commandOf(pid: number): string | undefined {
  return orNothing(() => readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd(), undefined);
}
