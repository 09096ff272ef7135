// `npm run check:native`: the answer thread under a storm, built with ThreadSanitizer, then with AddressSanitizer and
// UndefinedBehaviorSanitizer. Without Node, whose own threads and heap neither of them stands.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./setup.mjs";

const SOURCES = ["answer", "answerer", "bytes", "receive"].map((name) => join(root, "native", `${name}.c`));
const FLAGS =
  "-std=gnu11 -O1 -g -Wall -Wextra -Werror -ffreestanding -fno-omit-frame-pointer -D_GNU_SOURCE -pthread".split(" ");
const BUILDS = ["thread", "address,undefined"];

const rounds = process.argv[2] ?? "3000";
const directory = mkdtempSync(join(tmpdir(), "subflow-native-"));
try {
  for (const sanitizer of BUILDS) {
    const program = join(directory, "stress");
    const words = [...FLAGS, `-fsanitize=${sanitizer}`, "-fno-sanitize-recover=all", "-o", program];
    execFileSync("gcc", [...words, join(root, "test", "native", "stress.c"), ...SOURCES], { stdio: "inherit" });
    console.log(`${sanitizer}: ${execFileSync(program, [rounds], { encoding: "utf8", timeout: 120_000 }).trim()}`);
  }
} catch (error) {
  console.error(`check:native failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
