import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { loadNative } from "../../src/netlink/index.ts";
import { AF_INET, ERRNO } from "../../src/types/index.ts";

/** The command line, run as a user runs it: a process of its own. */
export const SUBFLOW = fileURLToPath(new URL("../../../bin/subflow", import.meta.url));

/** The iproute2 to compare with: the installed one, or the one that IPROUTE2 names (a newer one, built by hand). */
export const IP = process.env.IPROUTE2 ?? "ip";

/** How a command ended; `exitStatus` is 128 + the signal's number when a signal ended it. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitStatus: number;
}

/** Runs a command to its end, without a shell. */
export function runCommand(command: string, words: readonly string[], options: { input?: string } = {}): Outcome {
  const { NODE_EXTRA_CA_CERTS: _slow, ...env } = process.env;
  const { stdout, stderr, status, signal, error } = spawnSync(command, words, {
    encoding: "utf8",
    env: { ...env, NO_COLOR: "1" },
    timeout: 20_000,
    ...options,
  });
  if (error) throw error;
  return { stdout, stderr, exitStatus: status ?? (signal === "SIGINT" ? 130 : 143) };
}

/** Runs subflow. */
export function runSubflow(...words: string[]): Outcome {
  return runCommand(process.execPath, [SUBFLOW, ...words]);
}

/** A network namespace of our own with two interfaces, d0 (10.0.1.1, 2001:db8::1) and d1 (10.0.2.1). */
export class TestNamespace {
  readonly name = `subflow-${randomBytes(4).toString("hex")}`;

  constructor() {
    this.#ip("netns", "add", this.name);
    try {
      this.inside("link", "set", "lo", "up");
      this.inside("link", "add", "d0", "type", "veth", "peer", "name", "d1");
      this.inside("address", "add", "10.0.1.1/24", "dev", "d0");
      this.inside("address", "add", "2001:db8::1/64", "dev", "d0", "nodad");
      this.inside("address", "add", "10.0.2.1/24", "dev", "d1");
      this.inside("link", "set", "d0", "up");
      this.inside("link", "set", "d1", "up");
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** ip(8) in this namespace. */
  inside(...words: string[]): string {
    return this.#ip("-n", this.name, ...words);
  }

  remove(): void {
    this.#ip("netns", "delete", this.name);
  }

  #ip(...words: string[]): string {
    return execFileSync("ip", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }
}

/** Why kernel tests cannot run here, found by trying; undefined when they can. EXPECT_KERNEL=1 makes it an error. */
export function whyNoKernel(): string | undefined {
  try {
    const namespace = new TestNamespace();
    try {
      const { exitStatus, stderr } = runCommand(IP, ["-n", namespace.name, "mptcp", "limits"]);
      if (exitStatus !== 0) throw new Error(`ip mptcp does not work: ${stderr}`);
    } finally {
      namespace.remove();
    }
    return undefined;
  } catch (error) {
    if (process.env.EXPECT_KERNEL === "1") throw error;
    return `no namespace with MPTCP can be made here: ${(error as Error).message.trim()}`;
  }
}

/** Of the servers of {@link TestConnection}. */
const FIRST_PORT = 5000;

/** An MPTCP connection inside a namespace, from 10.0.1.1 to 10.0.1.1, both ends ours, already used. */
export class TestConnection {
  readonly #server: Server;
  readonly #client: Socket;

  private constructor(server: Server, client: Socket) {
    this.#server = server;
    this.#client = client;
  }

  /** Resolves when a byte has come back: then both ends are fully established (RFC 8684 §3.1). */
  static open(namespace: TestNamespace): Promise<TestConnection> {
    const native = loadNative();
    const netns = openSync(`/run/netns/${namespace.name}`, "r");
    const address = Uint8Array.of(10, 0, 1, 1);
    const listener = native.mptcpSocket(AF_INET, netns);
    // The port of a connection that has just ended may still be taken.
    let port = FIRST_PORT;
    let bound = native.bind(listener, address, port, 0);
    while (bound === -ERRNO.EADDRINUSE) bound = native.bind(listener, address, ++port, 0);
    assert.equal(bound, 0);
    assert.equal(native.listen(listener, 8), 0);
    const server = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen({ fd: listener });
    const descriptor = native.mptcpSocket(AF_INET, netns);
    native.connect(descriptor, address, port);
    closeSync(netns);
    const client = new Socket({ fd: descriptor });
    return new Promise((resolve, reject) => {
      client.on("error", reject);
      client.once("data", () => resolve(new TestConnection(server, client)));
      client.write("x");
    });
  }

  /** Sends a byte and waits until it is back: what the kernel had to say before has been said. */
  exchange(): Promise<void> {
    return new Promise((resolve) => {
      this.#client.once("data", () => resolve());
      this.#client.write("x");
    });
  }

  close(): Promise<void> {
    this.#client.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** A subflow process that goes on until it is told to end. */
export class RunningSubflow {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<number>;

  constructor(...words: string[]) {
    this.child = spawn(process.execPath, [SUBFLOW, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
    });
  }

  /** Its exit status, after this signal if one is given. */
  end(signal?: NodeJS.Signals): Promise<number> {
    if (signal) this.child.kill(signal);
    return this.#ended;
  }
}

/** Asks again every few milliseconds until the answer is not undefined; fails after the deadline. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
