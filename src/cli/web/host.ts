import { spawn } from "node:child_process";
import { hostname } from "node:os";
import { ask } from "../../client/index.ts";
import type { Finding } from "../../page/index.ts";
import { formatSocketAddress, SubflowError } from "../../types/index.ts";
import { flagNames } from "../endpoint-grammar.ts";
import type { GlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { localUsers } from "../users.ts";
import type { HostPicture } from "./picture.ts";

/** The daemon is asked how it is so often, and the doctor at most so often. Milliseconds. */
const PACE = 2000;
const FRESH = 10_000;
/** The doctor has so long. */
const DEADLINE = 20_000;

/** The host beside its connections: the daemon, its endpoints and limits, who the users are, what the doctor finds. */
export class HostView implements Disposable {
  readonly name = hostname();
  readonly #global: GlobalOptions;
  readonly #users = new Map(localUsers().map(([name, uid]) => [uid, name]));
  readonly #timer: NodeJS.Timeout;
  #daemon: HostPicture | undefined;
  #examination: { readonly at: number; readonly findings: Promise<readonly Finding[]> } | undefined;

  constructor(global: GlobalOptions) {
    this.#global = global;
    this.#timer = setInterval(() => void this.#look(), PACE);
    void this.#look();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  get daemon(): HostPicture | undefined {
    return this.#daemon;
  }

  userName(uid: number): string {
    return this.#users.get(uid) ?? `${uid}`;
  }

  /** Of a process of its own: it reads much, and would hold the pictures up. One at a time, whoever asks. */
  findings(): Promise<readonly Finding[]> {
    const now = performance.now();
    if (!this.#examination || now - this.#examination.at > FRESH) {
      this.#examination = { at: now, findings: examine(this.#global.netns) };
    }
    return this.#examination.findings;
  }

  async #look(): Promise<void> {
    const where = { netns: this.#global.netns };
    try {
      const [hello, endpoints, limits, rules] = await Promise.all([
        ask("hello", {}, where),
        // Not for everybody: who may not see them sees the rest.
        ask("endpoint.list", {}, where).catch(() => []),
        ask("limits.get", {}, where).catch(() => undefined),
        ask("rules", {}, where).catch(() => undefined),
      ]);
      const interfaces = new Interfaces(this.#global);
      const { recoveries, silent, quarantines } = hello.paths ?? {};
      this.#daemon = {
        version: hello.version,
        uptime: hello.uptime,
        overruns: hello.overruns,
        recoveries,
        silent,
        quarantines,
        quotas: hello.quotas ?? [],
        troubles: hello.troubles,
        endpoints: endpoints.map(({ id, address, port = 0, flags, interfaceIndex }) => ({
          id,
          address: port === 0 ? address : formatSocketAddress({ address, port }),
          interface: interfaceIndex ? interfaces.name(interfaceIndex) : "",
          flags: flagNames(flags).names.join(" "),
        })),
        limits,
        rules,
      };
    } catch (error) {
      if (!(error instanceof SubflowError)) throw error;
      this.#daemon = undefined;
    }
  }
}

function examine(netns: string | undefined): Promise<readonly Finding[]> {
  const words = [...(netns === undefined ? [] : ["-n", netns]), "-j", "doctor"];
  const child = spawn(process.execPath, [process.argv[1] ?? "", ...words], {
    stdio: ["ignore", "pipe", "ignore"],
    timeout: DEADLINE,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      try {
        resolve(JSON.parse(text).findings);
      } catch {
        reject(new SubflowError("the doctor came to no end; try `subflow doctor`", { code: "DOCTOR" }));
      }
    });
  });
}
