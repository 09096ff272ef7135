import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { mptcpEnvironment } from "./environment.ts";
import { describeProgram, findProgram, obstacle, type Program, ProgramError } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "subflow-programs-"));
after(() => rmSync(folder, { recursive: true }));

function put(name: string, text: string, mode: number): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test("a program is found as execvp(3) finds it", () => {
  mkdirSync(join(folder, "first"));
  mkdirSync(join(folder, "second"));
  put("first/tool", "", 0o644);
  const good = put("second/tool", "", 0o755);
  const path = ["first", "nowhere", "second"].map((name) => join(folder, name)).join(":");
  assert.equal(findProgram("tool", path), good);
  assert.equal(findProgram(good, ""), good);
  const refused = (name: string, where = path): number | undefined => {
    try {
      findProgram(name, where);
      return undefined;
    } catch (error) {
      return error instanceof ProgramError ? error.exitStatus : undefined;
    }
  };
  assert.equal(refused("tool", join(folder, "first")), 126);
  assert.equal(refused("no-such-tool"), 127);
  assert.equal(refused(`${folder}/no-such-tool`), 127);
  assert.equal(refused(`${good}/below`), 127);
  assert.equal(refused(folder), 126);
  assert.equal(refused(""), 127);
});

test("of a script the interpreter counts, also through env(1), and a circle ends", () => {
  const direct = describeProgram(put("direct", `#! ${process.execPath} --flag\n`, 0o755));
  assert.equal(direct?.interpreter?.path, process.execPath);
  symlinkSync(process.execPath, join(folder, "runtime"));
  const throughEnv = put("through-env", `#!/usr/bin/env -S ${join(folder, "runtime")} --flag\n`, 0o755);
  assert.equal(describeProgram(throughEnv)?.interpreter?.path, join(folder, "runtime"));
  assert.equal(describeProgram(put("plain", "echo\n", 0o755))?.interpreter, undefined);
  const circle = put("circle", `#!${join(folder, "circle")}\n`, 0o755);
  assert.equal(obstacle(describeProgram(circle)), undefined);
  assert.equal(describeProgram(join(folder, "gone")), undefined);
});

test("what cannot be made to use MPTCP is said, with what to do", () => {
  const elf = { bits: 64, machine: process.arch === "x64" ? 62 : 183, isDynamic: true, go: undefined } as const;
  const of = (more: Partial<Program["elf"]>, isSetId = false): Program => ({
    path: "/bin/it",
    elf: { ...elf, ...more },
    interpreter: undefined,
    isSetId,
  });
  for (const [program, says] of [
    [of({}), undefined],
    [of({ isDynamic: false }), /statically linked.*use a dynamically linked one/],
    [of({}, true), /set-user-id.*run it as/],
    [of({ bits: 32 }), /another processor \(32 bits/],
    [of({ machine: 8 }), /another processor/],
    [of({ isDynamic: false, go: { version: "go1.22.3" } }), undefined],
    [of({ isDynamic: false, go: { version: undefined } }), undefined],
    [of({ isDynamic: false, go: { version: "go1.20.1" } }), /go1\.20\.1, which knows no MPTCP.*1\.21/],
    [undefined, undefined],
    [
      { path: "/bin/script", elf: undefined, interpreter: of({ isDynamic: false }), isSetId: false },
      /\/bin\/it is static/,
    ],
  ] as const) {
    if (says === undefined) assert.equal(obstacle(program), undefined);
    else assert.match(obstacle(program) ?? "", says);
  }
});

test("variables: what others preload and set stays, ours is there once", () => {
  assert.deepEqual(mptcpEnvironment({}, "/lib/ours.so"), { LD_PRELOAD: "/lib/ours.so", GODEBUG: "multipathtcp=1" });
  assert.deepEqual(
    mptcpEnvironment({ LD_PRELOAD: "/a.so /lib/ours.so:/b.so", GODEBUG: "netdns=go,multipathtcp=0" }, "/lib/ours.so"),
    { LD_PRELOAD: "/a.so:/b.so:/lib/ours.so", GODEBUG: "netdns=go,multipathtcp=1" },
  );
});
