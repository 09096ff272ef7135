import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SubflowError } from "../types/index.ts";
import { describeFailure } from "./failure.ts";
import { takeGlobalOptions } from "./global-options.ts";
import { main } from "./main.ts";
import { isPassedOn, resolve } from "./resolve.ts";
import { bufferStreams } from "./streams.ts";
import { COMMANDS } from "./table.ts";
import { VERSION } from "./version.ts";

async function run(...words: string[]): Promise<{ stdout: string; stderr: string; status: number }> {
  const streams = bufferStreams();
  const status = await main(words, streams);
  return { stdout: streams.stdout, stderr: streams.stderr, status };
}

test("the version is the package's", async () => {
  const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  assert.equal(VERSION, manifest.version);
  assert.deepEqual(await run("--version"), { stdout: `subflow ${VERSION}\n`, stderr: "", status: 0 });
});

for (const [words, expected] of [
  ["e", "endpoint show"],
  ["endp", "endpoint show"],
  ["endpoint a", "endpoint add"],
  ["e del", "endpoint delete"],
  ["l", "limits show"],
  ["limit s", "limits set"],
  ["m", "monitor"],
  ["conn", "connections"],
  ["st", "status"],
  ["an", "announce"],
  ["cr", "create"],
  ["backup", "backup"],
  ["h", "help"],
] as const) {
  test(`"${words}" means ${expected}`, () => {
    const resolved = resolve(COMMANDS, words.split(" "));
    assert.equal(resolved.kind === "command" && resolved.command.words.join(" "), expected);
  });
}

test("an ambiguous or unknown word is refused, and the nearest one named", async () => {
  assert.match((await run("co")).stderr, /ambiguous: connections, .*completion/);
  const unknown = await run("endpiont");
  assert.equal(unknown.status, 255);
  assert.match(unknown.stderr, /"endpiont" is unknown.*\nDid you mean "subflow endpoint"\?/);
  assert.match((await run("endpoint", "shwo")).stderr, /Did you mean "subflow endpoint show"\?/);
});

for (const [line, netns, json, words] of [
  ["-n a -j limits", "a", true, ["limits"]],
  ["-netns a -js limits", "a", true, ["limits"]],
  ["--netns=a limits --json", "a", true, ["limits"]],
  ["create t x --id 3 -n a", "a", false, ["create", "t", "x", "--id", "3"]],
  ["-j exec ls -j -n x", undefined, true, ["exec", "ls", "-j", "-n", "x"]],
  ["ex -n a ls -n b", "a", false, ["ex", "ls", "-n", "b"]],
  ["exec -- ls -j", undefined, false, ["exec", "--", "ls", "-j"]],
  ["lab run x -- ls -j", undefined, false, ["lab", "run", "x", "--", "ls", "-j"]],
] as const) {
  test(`global options of "${line}"`, () => {
    const { global, words: rest } = takeGlobalOptions(line.split(" "), (before) => isPassedOn(COMMANDS, before));
    assert.deepEqual([global.netns, global.json, rest], [netns, json, words]);
  });
}

test("every command explains itself, and its examples begin with its own words", async () => {
  for (const command of COMMANDS) {
    const help = await run("help", ...command.words);
    assert.equal(help.status, 0);
    assert.ok(help.stdout.includes(`Usage: subflow ${command.words.join(" ")}`) || help.stdout.startsWith("Usage:\n"));
    for (const example of command.examples) {
      const { words } = takeGlobalOptions(example.split(/ [|>] /)[0]!.split(" "));
      const resolved = resolve(COMMANDS, words);
      assert.equal(resolved.kind === "command" && resolved.command, command, example);
    }
  }
});

test("every command's file can be loaded and exports run", async () => {
  for (const command of COMMANDS) assert.equal(typeof (await command.load()).run, "function");
});

test("no word means the reminder and status 255, --help the overview and 0", async () => {
  const nothing = await run();
  assert.deepEqual([nothing.status, nothing.stdout], [255, ""]);
  const help = await run("--help");
  assert.equal(help.status, 0);
  for (const { words, hidden } of COMMANDS) assert.equal(help.stdout.includes(`  ${words.join(" ")} `), !hidden);
});

test("a word too many is an error, whatever the command", async () => {
  for (const { words, takes, hidden, passesOn } of COMMANDS) {
    // `lab run` says more: the word is a command most likely.
    if (!takes || hidden || passesOn || words[0] === "help" || words.join(" ") === "lab run") continue;
    const line = [...words, ...takes.map(() => "1"), "junk"];
    const { status, stderr } = await run(...line);
    assert.equal(status, 255, line.join(" "));
    assert.match(stderr, /^Error: argument "junk" is wrong: `subflow [a-z ]+` takes /, line.join(" "));
  }
});

class Refusal extends SubflowError {
  readonly errno: number;
  readonly kernelMessage: string | undefined;
  constructor(errno: number, kernelMessage?: string) {
    super("refused", { code: "NETLINK" });
    this.errno = errno;
    this.kernelMessage = kernelMessage;
  }
}

for (const [error, exitStatus, text] of [
  [new Refusal(22, "address not found"), 2, /^Error: address not found\.$/],
  [new Refusal(1), 2, /^RTNETLINK answers: Operation not permitted\nThis needs CAP_NET_ADMIN/],
  [new Refusal(22, "connect error: -99"), 2, /\nCannot assign requested address\.$/],
  [new SubflowError("no such namespace", { code: "NETNS" }), 255, /^Error: no such namespace\.$/],
  [new SubflowError("no addon", { code: "NATIVE_MISSING" }), 1, /^Error: no addon\.$/],
  [new TypeError("x is not a function"), 1, /^Internal error, please report it/],
] as const) {
  test(`status ${exitStatus} for ${error.message} ${String("errno" in error ? error.errno : "")}`, () => {
    const described = describeFailure(error);
    assert.equal(described.exitStatus, exitStatus);
    assert.match(described.text, text);
  });
}
