import assert from "node:assert/strict";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Meter } from "./meter.ts";
import { QuotaFile } from "./quota-file.ts";

const METER: Meter = {
  ...{ boot: "b", index: 3, counter: 7, at: 1000, period: "day" as const },
  counts: [{ key: "2026-11-27", bytes: 5, told: "warned" }],
};

async function inFolder(use: (path: string, file: QuotaFile, said: string[]) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "subflow-quota-"));
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const path = join(folder, "state", "quota.json");
  try {
    await use(path, new QuotaFile(path, { warn: say, info: say } as never), said);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("what is written is read, for nobody else to see, and nothing is left beside it", () =>
  inFolder(async (path, file, said) => {
    assert.deepEqual(file.read(), {}, "there is none yet");
    await file.write({ wwan0: METER });
    assert.deepEqual(file.read(), { wwan0: METER });
    file.writeNow({ wwan1: METER });
    assert.deepEqual(file.read(), { wwan1: METER });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, "..")), ["quota.json"]);
    assert.deepEqual(said, []);
  }));

for (const text of [
  "",
  "{",
  "null",
  "[]",
  '{"version":2,"interfaces":{}}',
  '{"version":1,"interfaces":{"a":{"bytes":-1}}}',
]) {
  test(`a broken file counts from 0, which is said: ${JSON.stringify(text)}`, () =>
    inFolder(async (path, file, said) => {
      await file.write({ wwan0: METER });
      writeFileSync(path, text);
      assert.deepEqual(file.read(), {});
      assert.match(said.join("\n"), /quota\.json cannot be read .*counted from 0$/);
      await file.write({ wwan0: METER });
      assert.deepEqual(file.read(), { wwan0: METER });
    }));
}

test("what cannot be written is said once, shown, and written when it can be", () =>
  inFolder(async (path, file, said) => {
    await file.write({});
    rmSync(join(path, ".."), { recursive: true });
    writeFileSync(join(path, ".."), "a file in the way");
    await file.write({ wwan0: METER });
    await file.write({ wwan0: METER });
    assert.equal(said.length, 1, said.join("\n"));
    assert.match(file.trouble ?? "", /^the use of quotas cannot be written: /);
    rmSync(join(path, ".."));
    await file.write({ wwan0: METER });
    assert.equal(file.trouble, undefined);
    assert.match(said[1] ?? "", /written again/);
    assert.deepEqual(file.read(), { wwan0: METER });
  }));

test("a directory that others can write is refused, and a link in the place of the file is not followed", () =>
  inFolder(async (path, file, said) => {
    await file.write({ wwan0: METER });
    const victim = join(path, "..", "..", "victim");
    writeFileSync(victim, "as it was");
    rmSync(path);
    for (const name of [path, `${path}.next`, `${path}.new`]) symlinkSync(victim, name);
    assert.deepEqual(file.read(), {});
    assert.match(said.join("\n"), /is a symbolic link/);
    await file.write({ wwan0: METER });
    file.writeNow({ wwan0: METER });
    assert.equal(readFileSync(victim, "utf8"), "as it was");
    chmodSync(join(path, ".."), 0o777);
    await file.write({});
    assert.match(file.trouble ?? "", /can be written by others/);
  }));
