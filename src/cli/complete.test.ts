import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { complete, type Look } from "./complete.ts";
import { completionScript } from "./completion.ts";
import { nounsOf } from "./resolve.ts";
import { COMMANDS } from "./table.ts";

const NOUNS = nounsOf(COMMANDS);

const look: Look = {
  commands: () => NOUNS,
  tokens: () => ["06eda8cb", "06ffffff", "1b2c3d4e"],
  interfaces: () => ["lo", "wlan0", "eth0"],
  addresses: () => ["10.0.1.1", "10.0.2.1", "fd00::1"],
  endpoints: () => [
    { id: 3, address: "10.0.1.1" },
    { id: 4, address: "fd00::1" },
  ],
  connection: (token) =>
    token === "06eda8cb"
      ? { locals: ["10.0.2.1", "10.0.2.1:4000"], remotes: ["10.0.9.1"], announced: ["5", "10.0.2.1"] }
      : { locals: [], remotes: [], announced: [] },
  policies: () => ["active-backup", "resilient"],
  netns: () => ["blue", "green"],
  hosts: (file) => (file === "lab.yaml" ? ["client", "server"] : []),
};

const at = (line: string) => complete(COMMANDS, line.split(" ").slice(1), look);

for (const [line, words, files] of [
  ["subflow end", ["endpoint"]],
  ["subflow ", [...NOUNS].sort()],
  ["subflow endpoint ", ["add", "change", "delete", "flush", "show"]],
  ["subflow -n ", ["blue", "green"], true],
  ["subflow -n blue why ", ["06eda8cb", "06ffffff", "1b2c3d4e"]],
  ["subflow why 06e", ["06eda8cb"]],
  ["subflow why 06eda8cb ", []],
  ["subflow endpoint delete id ", ["3", "4"]],
  ["subflow e d id ", ["3", "4"]],
  ["subflow endpoint add 10", ["10.0.2.1"]],
  ["subflow endpoint add 10.0.2.1 dev ", ["eth0", "lo", "wlan0"]],
  ["subflow endpoint add 10.0.2.1 dev eth0 s", ["signal", "subflow"]],
  ["subflow endpoint add 10.0.2.1 subflow s", ["signal"]],
  ["subflow endpoint change f", ["fd00::1", "fullmesh"]],
  ["subflow limits set ", ["add_addr_accepted", "subflows"]],
  ["subflow limits set subflows ", []],
  ["subflow create 06eda8cb w", ["wlan0"]],
  ["subflow destroy 06eda8cb 10", ["10.0.2.1", "10.0.2.1:4000"]],
  ["subflow destroy 06eda8cb 10.0.2.1 ", ["10.0.9.1"]],
  ["subflow remove 06eda8cb ", ["10.0.2.1", "5"]],
  ["subflow create 06eda8cb --dev ", ["eth0", "lo", "wlan0"]],
  ["subflow run --log-level ", ["debug", "error", "info", "warn"]],
  ["subflow run --path-manager k", ["kernel"]],
  ["subflow run --config ", [], true],
  ["subflow run --lo", ["--log-level"]],
  ["subflow report ", [], true],
  ["subflow lab run ", [], true],
  ["subflow lab run lab.yaml --in ", ["client", "server"]],
  ["subflow lab run lab.yaml -- ", [], true],
  ["subflow completion ", ["bash", "fish", "zsh"]],
  ["subflow help st", ["status"]],
  ["subflow nonsense ", []],
  ["subflow doctor --path ", []],
] as const) {
  test(`completes "${line}"`, () => {
    const found = at(line);
    assert.deepEqual(found, { words: [...words], files: files ?? false });
  });
}

const SUBFLOW = join(import.meta.dirname, "..", "..", "..", "bin", "subflow");
const has = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

test("in a real bash: words, options, what has colons, and files", (context) => {
  if (!has("bash") || !existsSync(join(SUBFLOW, "..", "..", "dist", "bundle"))) return context.skip("no bash here");
  const tab = (line: string, current: string): string[] => {
    const script = `${completionScript("bash")}
      COMP_LINE=$1 COMP_POINT=\${#1} COMP_CWORD=1 COMP_WORDS=("$0" "$2")
      _subflow 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script, "subflow", `${SUBFLOW} ${line}`, current], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean);
  };
  assert.deepEqual(tab("endp", "endp"), ["endpoint"]);
  assert.deepEqual(tab("endpoint ", ""), ["add", "change", "delete", "flush", "show"]);
  assert.deepEqual(tab("run --log-level w", "w"), ["warn"]);
  assert.ok(tab("endpoint add 1.2.3.4 dev l", "l").includes("lo"));
  assert.ok(tab("report /etc/pass", "/etc/pass").includes("/etc/passwd"));
  // "::1" of the loopback: what stands before the last colon is on the line already.
  if (tab("endpoint add :", ":").length > 0) assert.deepEqual(tab("endpoint add ::", ":"), ["1"]);
});

for (const [shell, words] of [
  ["bash", ["-n"]],
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
] as const) {
  test(`the script for ${shell} is one`, (context) => {
    if (!has(shell)) return context.skip(`${shell} is not installed`);
    const { status, stderr } = spawnSync(shell, words, { input: completionScript(shell), encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });
}
