import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, runtimeFiles } from "../../src/control/index.ts";
import { type Host, type Lab, patience } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import type { Connection, ControlHello, ControlMethod, ControlMethods, SubflowInfo } from "../../src/types/index.ts";

const root = join(import.meta.dirname, "..", "..", "..");
export const SUBFLOW = join(root, "bin", "subflow");

/** Sockets and state of the daemons under test: not in /run, where a real one may be. */
const runtime = mkdtempSync(join(tmpdir(), "subflow-test-"));
process.env.SUBFLOW_RUNTIME_DIRECTORY = runtime;
process.on("exit", () => rmSync(runtime, { recursive: true, force: true }));

/** What one test run of `subflow run` may take to be ready, or to end. Milliseconds. */
export const DEADLINE = 10_000;

/** A configuration file that is gone with the tests. */
export function configFile(text: string, name = `config-${Math.random().toString(36).slice(2)}.yaml`): string {
  const path = join(runtime, name);
  writeFileSync(path, text);
  return path;
}

/** `subflow run` on a host of the lab. */
export class DaemonProcess {
  readonly #lab: Lab;
  readonly #host: Host;
  readonly #process: ChildProcess;
  log = "";

  private constructor(lab: Lab, host: Host, args: readonly string[], command = [process.execPath, SUBFLOW, "run"]) {
    this.#lab = lab;
    this.#host = host;
    this.#process = host.spawn([...command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        this.log += chunk;
      });
    }
  }

  /** A daemon of which nothing is known but that its process was started. */
  static launch(lab: Lab, host: Host, ...args: string[]): DaemonProcess {
    return new DaemonProcess(lab, host, args);
  }

  /** Resolves when the daemon answers. */
  static start(lab: Lab, host: Host, ...args: string[]): Promise<DaemonProcess> {
    return DaemonProcess.launch(lab, host, ...args).ready();
  }

  /** A script beside the tests that runs a daemon in its own way. */
  static launchScript(lab: Lab, host: Host, script: string, ...args: string[]): DaemonProcess {
    return new DaemonProcess(lab, host, args, [process.execPath, join(import.meta.dirname, script)]);
  }

  /** Like {@link launch}, in the mount namespace of another process: where its /run is. */
  static launchBeside(pid: number, lab: Lab, host: Host, ...args: string[]): DaemonProcess {
    const inside = ["nsenter", `--target=${pid}`, "--mount", "--"];
    return new DaemonProcess(lab, host, args, [...inside, process.execPath, SUBFLOW, "run"]);
  }

  /** Like {@link start}, in the mount namespace of another process. */
  static startBeside(pid: number, lab: Lab, host: Host, ...args: string[]): Promise<DaemonProcess> {
    return DaemonProcess.launchBeside(pid, lab, host, ...args).ready();
  }

  /** Like {@link start}, by a command that makes it somebody else. */
  static startAs(as: readonly string[], lab: Lab, host: Host, ...args: string[]): Promise<DaemonProcess> {
    return new DaemonProcess(lab, host, args, [...as, process.execPath, SUBFLOW, "run"]).ready();
  }

  async ready(): Promise<DaemonProcess> {
    const deadline = performance.now() + patience(DEADLINE);
    for (;;) {
      const begin = performance.now();
      const hello = await this.hello();
      if (hello?.pid === this.pid) return this;
      if (this.#process.exitCode !== null || this.#process.signalCode !== null)
        throw new Error(`the daemon ended at once:\n${this.log}`);
      if (performance.now() > deadline) throw new Error(`the daemon is not ready:\n${this.log}`);
      // On a slow machine asking must not be what keeps it from starting.
      await sleep(Math.max(5, performance.now() - begin));
    }
  }

  /** Runs `subflow run` to its end, for runs that must fail. */
  static async fail(lab: Lab, host: Host, ...args: string[]): Promise<{ code: number | null; log: string }> {
    const daemon = new DaemonProcess(lab, host, args);
    const [code] = (await once(daemon.#process, "exit", { signal: AbortSignal.timeout(patience(DEADLINE)) })) as [
      number | null,
    ];
    return { code, log: daemon.log };
  }

  /** How it ended, null by a signal; undefined: it runs. */
  get status(): number | null | undefined {
    const { exitCode, signalCode } = this.#process;
    return exitCode === null && signalCode === null ? undefined : exitCode;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  hello(): Promise<ControlHello | undefined> {
    return ask("hello", {}, { netns: this.#host.netns }).catch(() => undefined);
  }

  ask<M extends ControlMethod>(method: M, params = {} as ControlMethods[M]["params"]) {
    return ask(method, params, { netns: this.#host.netns });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it, and waits until it has. @returns its exit status; null when a signal killed it */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, "exit", { signal: AbortSignal.timeout(patience(DEADLINE)) });
      this.#process.kill(signal);
      await exit;
    }
    return this.#process.exitCode;
  }

  async logged(pattern: RegExp): Promise<void> {
    await this.#lab.waitFor(() => pattern.test(this.log), DEADLINE, `${pattern} in the log:\n${this.log}`);
  }
}

/** The command line, run to its end against a host. */
export function subflow(host: Host, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SUBFLOW, "-n", host.netns, ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
}

/** The connections of a host, read anew. */
export function connectionsOf(host: Host): Connection[] {
  using pm = MptcpPm.open({ netns: host.netns });
  return pm.connections().filter(({ state }) => state === "established");
}

/** The subflows of all of them. */
export function subflowsOf(host: Host): readonly SubflowInfo[] {
  return connectionsOf(host).flatMap(({ subflows }) => subflows);
}

/** "10.0.2.1>10.0.2.2" of each subflow that is established, sorted. */
export function pathsOf(host: Host): string[] {
  return subflowsOf(host)
    .filter(({ state }) => state === "established")
    .map(({ path }) => `${path.local.address}>${path.remote.address}`)
    .sort();
}

/** Arguments of a daemon that sets up the in-kernel path manager. */
export const KERNEL = ["--path-manager", "kernel"] as const;

/** What a daemon wrote down for its next life. */
export function stateOf(host: Host): { pathManager: string; host: { owned: string[] }; will?: number } {
  return JSON.parse(readFileSync(runtimeFiles(host.netns).state, "utf8"));
}
