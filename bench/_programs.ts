import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SOURCES = join(import.meta.dirname, "..", "..", "bench", "c");
/** mptcpd loads every file of its plug-in directory, so the plug-in has one of its own. */
const PLUGINS = "plugins";

/** The C programs of bench/c, compiled for one run of a benchmark into a directory that goes with it. */
export class Programs implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "subflow-bench-"));
  readonly pluginDirectory = join(this.directory, PLUGINS);

  constructor() {
    execFileSync("mkdir", ["-m", "755", this.pluginDirectory]);
  }

  /** @returns the path of the compiled program */
  program(name: string): string {
    return this.#compile(name, join(this.directory, name), []);
  }

  plugin(): string {
    return this.#compile("plugin", join(this.pluginDirectory, "bench.so"), ["-shared", "-fPIC", "-lmptcpd", "-lell"]);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #compile(name: string, to: string, options: readonly string[]): string {
    const words = ["-std=gnu17", "-O2", "-D_GNU_SOURCE", "-o", to, join(SOURCES, `${name}.c`), ...options];
    execFileSync("gcc", words, { stdio: "inherit" });
    return to;
  }
}
