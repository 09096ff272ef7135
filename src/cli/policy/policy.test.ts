import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { policyTemplate, testTemplate } from "./template.ts";

const folder = mkdtempSync(join(tmpdir(), "subflow-policy-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const EXAMPLES = join(import.meta.dirname, "..", "..", "..", "..", "examples", "policies");

function tested(file: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(import.meta.dirname, "tester.js"), file], { encoding: "utf8" });
}

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test("policy new: what it writes keeps every law, and its tests pass", () => {
  const file = written("mine.mjs", policyTemplate("mine"));
  written("mine.test.mjs", testTemplate("mine"));
  const { status, stdout } = tested(file);
  assert.equal(status, 0, stdout);
  assert.equal(stdout.match(/^ok {6}/gm)?.length, 9);
});

for (const name of ["wifi-first", "bandit"]) {
  test(`policy test: the example ${name} keeps every law, and its tests pass`, () => {
    const { status, stdout } = tested(join(EXAMPLES, `${name}.mjs`));
    assert.equal(status, 0, stdout);
    assert.doesNotMatch(stdout, /^not ok/m);
  });
}

test("policy test: a law that is broken, a test that fails and a module that is none are told, with status 1", () => {
  const file = written("bad.mjs", "export const policy = { name: 'bad', plan: () => { throw new Error('no'); } };");
  written("bad.test.mjs", "export default ({ test, assert }) => test('mine', () => assert.equal(1, 2));");
  const { status, stdout } = tested(file);
  assert.equal(status, 1);
  assert.match(stdout, /^not ok {2}no plan is refused/m);
  assert.match(stdout, /^not ok {2}mine$/m);
  const none = tested(written("none.mjs", "export const x = 1;"));
  assert.deepEqual([none.status, none.stderr], [1, `Error: ${join(folder, "none.mjs")}: it exports no \`policy\`\n`]);
});
