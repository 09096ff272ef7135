/** How long a command of the bundled CLI takes from fork to exit, beside bare Node and `ip mptcp`. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../bin/subflow", import.meta.url));
const ROUNDS = Number(process.argv[2] ?? 60);

/** Bare Node may cost this much more: the target. */
const TARGET_RATIO = 1.3;

const node = process.execPath;
const candidates: readonly (readonly [name: string, command: string, words: readonly string[]])[] = [
  ["node -e 0", node, ["-e", "0"]],
  ["subflow --version", node, [BIN, "--version"]],
  ["subflow limits", node, [BIN, "limits"]],
  ["subflow endpoint", node, [BIN, "endpoint"]],
  ["subflow connections", node, [BIN, "connections"]],
  ["subflow status", node, [BIN, "status"]],
  ["ip mptcp limits", "ip", ["mptcp", "limits"]],
];

if (!existsSync(fileURLToPath(new URL("../bundle/subflow.cjs", import.meta.url)))) {
  console.error("dist/bundle/subflow.cjs is not there: run npm run build");
  process.exit(1);
}

// An extra certificate file costs Node 20 some 39 ms at every start: it has no part in what is measured.
const { NODE_EXTRA_CA_CERTS: _unused, ...env } = process.env;

function once(command: string, words: readonly string[]): number {
  const start = performance.now();
  const { error, status, stderr } = spawnSync(command, words, { env, stdio: ["ignore", "pipe", "pipe"] });
  const milliseconds = performance.now() - start;
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${words.join(" ")} ended with ${status}: ${stderr}`);
  return milliseconds;
}

const samples = new Map<string, number[]>(candidates.map(([name]) => [name, []]));
// Round by round, not command by command: what else the machine does then hits all alike.
for (let round = -3; round < ROUNDS; round++) {
  for (const [name, command, words] of candidates) {
    const milliseconds = once(command, words);
    if (round >= 0) samples.get(name)!.push(milliseconds);
  }
}

const quantile = (sorted: readonly number[], q: number): number => sorted[Math.floor(q * (sorted.length - 1))]!;
const base = quantile(
  samples.get("node -e 0")!.toSorted((a, b) => a - b),
  0.5,
);
console.log(`${"command".padEnd(22)}${"p50 ms".padStart(8)}${"p95 ms".padStart(8)}${"of node".padStart(9)}`);
for (const [name, list] of samples) {
  const sorted = list.toSorted((a, b) => a - b);
  const p50 = quantile(sorted, 0.5);
  const cells = [p50.toFixed(1), quantile(sorted, 0.95).toFixed(1)].map((cell) => cell.padStart(8));
  console.log(`${name.padEnd(22)}${cells.join("")}${(p50 / base).toFixed(2).padStart(8)}x`);
}
console.log(`target: subflow limits within ${TARGET_RATIO}x of node -e 0 (${ROUNDS} rounds)`);
