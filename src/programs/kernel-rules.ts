import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { loadNative } from "../netlink/index.ts";
import { ERRNO, errnoName, SubflowError } from "../types/index.ts";
import { functionId } from "./btf.ts";
import { ruleName, ruleOf, type SocketRule, socketProgram } from "./socket-rule.ts";

/** The kernel takes no rule; the message says what to use instead. */
export class KernelRuleError extends SubflowError {
  constructor(message: string) {
    super(`${message}; \`subflow exec\` and \`subflow enable UNIT\` do without`, { code: "KERNEL_RULE" });
  }
}

const BPFFS = "/sys/fs/bpf";
const DIRECTORY = join(BPFFS, "subflow");
const BTF = "/sys/kernel/btf/vmlinux";
const CGROUPS = "/sys/fs/cgroup";
const HOOK = "update_socket_protocol";

/** Numbers of linux/bpf.h. */
const COMMAND = { PROG_LOAD: 5, OBJ_PIN: 6, LINK_CREATE: 28 } as const;
const PROG_TYPE_TRACING = 26;
const MODIFY_RETURN = 26;
const NAME_BYTES = 16;
const LOG_BYTES = 1 << 16;

/** Where `union bpf_attr` has its fields. */
const LOAD = {
  bytes: 120,
  ...{ type: 0, count: 4, instructions: 8, license: 16, logLevel: 24, logBytes: 28, log: 32, name: 48 },
  ...{ attachType: 68, attachFunction: 108 },
} as const;

/**
 * Has the kernel make MPTCP sockets where a rule fits and TCP is asked for, until it is undone or the machine starts anew. A second time does
 * nothing.
 * @returns false: it was there
 * @throws KernelRuleError
 */
export function enableRule(rule: SocketRule): boolean {
  const file = join(DIRECTORY, ruleName(rule));
  if (existsSync(file)) return false;
  const program = check(load(rule, hookId()), "take a BPF program");
  try {
    if (!isBpffs()) throw new KernelRuleError(`${BPFFS} is not mounted; \`mount -t bpf bpf ${BPFFS}\` mends it`);
    const link = check(create(program), `attach to ${HOOK}`);
    try {
      if (!existsSync(DIRECTORY)) mkdirSync(DIRECTORY, { mode: 0o700 });
      check(pin(link, file), `keep it as ${file}`);
    } finally {
      loadNative().close(link);
    }
  } finally {
    loadNative().close(program);
  }
  return true;
}

/** Of the root of bpffs every file system has another device than what it is mounted on. */
function isBpffs(): boolean {
  return existsSync(BPFFS) && statSync(BPFFS).dev !== statSync(join(BPFFS, "..")).dev;
}

function hookId(): number {
  if (!existsSync(BTF))
    throw new KernelRuleError(`this kernel does not tell its types (${BTF}, CONFIG_DEBUG_INFO_BTF)`);
  const id = functionId(readFileSync(BTF), HOOK);
  if (id === undefined) throw new KernelRuleError(`this kernel has no ${HOOK}, which Linux 6.6 and newer have`);
  return id;
}

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const because =
    result === -ERRNO.EPERM
      ? "EPERM: it needs CAP_BPF and CAP_PERFMON (root), and a kernel that is not locked down"
      : errnoName(-result);
  throw new KernelRuleError(`the kernel does not ${what}: ${because}`);
}

function load(rule: SocketRule, hook: number): number {
  const code = socketProgram(rule);
  const license = Buffer.from("GPL\0");
  const block = Buffer.concat([code, license, Buffer.alloc(LOG_BYTES)]);
  const attributes = Buffer.alloc(LOAD.bytes);
  attributes.writeUInt32LE(PROG_TYPE_TRACING, LOAD.type);
  attributes.writeUInt32LE(code.length / 8, LOAD.count);
  attributes.writeBigUInt64LE(0n, LOAD.instructions);
  attributes.writeBigUInt64LE(BigInt(code.length), LOAD.license);
  attributes.writeUInt32LE(1, LOAD.logLevel);
  attributes.writeUInt32LE(LOG_BYTES, LOAD.logBytes);
  attributes.writeBigUInt64LE(BigInt(code.length + license.length), LOAD.log);
  attributes.write("subflow_mptcp", LOAD.name, NAME_BYTES - 1, "latin1");
  attributes.writeUInt32LE(MODIFY_RETURN, LOAD.attachType);
  attributes.writeUInt32LE(hook, LOAD.attachFunction);
  const fields = Int32Array.of(LOAD.instructions, LOAD.license, LOAD.log);
  const result = loadNative().bpf(COMMAND.PROG_LOAD, attributes, fields, block);
  if (result >= 0 || result === -ERRNO.EPERM) return result;
  const log = block.subarray(code.length + license.length);
  const said = log.toString("latin1", 0, log.indexOf(0)).trim();
  throw new KernelRuleError(`the kernel does not take a BPF program: ${errnoName(-result)}${said ? `: ${said}` : ""}`);
}

const NO_FIELDS = Int32Array.of(-1);

function create(program: number): number {
  const attributes = Buffer.alloc(48);
  attributes.writeUInt32LE(program, 0);
  attributes.writeUInt32LE(MODIFY_RETURN, 8);
  return loadNative().bpf(COMMAND.LINK_CREATE, attributes, NO_FIELDS, Buffer.alloc(0));
}

function pin(link: number, file: string): number {
  const attributes = Buffer.alloc(16);
  attributes.writeUInt32LE(link, 8);
  return loadNative().bpf(COMMAND.OBJ_PIN, attributes, Int32Array.of(0), Buffer.from(`${file}\0`));
}

/** Undoes {@link enableRule} at once. @returns false: there was nothing */
export function disableRule(rule: SocketRule): boolean {
  const file = join(DIRECTORY, ruleName(rule));
  try {
    rmSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return false;
    throw new KernelRuleError(`${file} cannot be removed: ${code}; it is root's`);
  }
  try {
    rmdirSync(DIRECTORY);
  } catch {
    // There are others.
  }
  return true;
}

/** The rules that hold; undefined where that may not be looked at. */
export function enabledRules(): SocketRule[] | undefined {
  try {
    return readdirSync(DIRECTORY)
      .sort()
      .flatMap((name) => ruleOf(name) ?? []);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? [] : undefined;
  }
}

/**
 * The rule for a cgroup, by its path ("/system.slice/web.service") or its folder.
 * @throws KernelRuleError where there is none
 */
export function cgroupRule(path: string): SocketRule {
  const folder = path.startsWith(CGROUPS) ? path : join(CGROUPS, path);
  const stats = statSync(folder, { throwIfNoEntry: false, bigint: true });
  if (!stats?.isDirectory() || !existsSync(join(folder, "cgroup.procs"))) {
    throw new KernelRuleError(`there is no cgroup ${folder} (of cgroup v2); /proc/PID/cgroup names those of a process`);
  }
  const level = relative(CGROUPS, folder).split("/").filter(Boolean).length;
  return { kind: "cgroup", level, id: stats.ino };
}

/** The path of a rule's cgroup; undefined: it is gone. */
export function cgroupPath({ id, level }: SocketRule & { readonly kind: "cgroup" }): string | undefined {
  const search = (folder: string, depth: number): string | undefined => {
    if (depth === level) return statSync(folder, { bigint: true }).ino === id ? folder : undefined;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const found = entry.isDirectory() ? search(join(folder, entry.name), depth + 1) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  };
  try {
    const found = search(CGROUPS, 0);
    return found === undefined ? undefined : `/${relative(CGROUPS, found)}`;
  } catch {
    return undefined;
  }
}
