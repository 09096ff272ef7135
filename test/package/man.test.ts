import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { COMMANDS } from "../../src/cli/table.ts";
import { policies } from "../../src/policies/index.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const { writeManPages } = (await import(join(root, "tools", "man.mjs"))) as {
  writeManPages(): { file: string; text: string }[];
};
const pages = writeManPages();
const folder = mkdtempSync(join(tmpdir(), "subflow-man-"));
after(() => rmSync(folder, { recursive: true }));
for (const { file, text } of pages) writeFileSync(join(folder, file), text);

const textOf = (file: string): string =>
  pages.find((page) => page.file === file)?.text ?? assert.fail(`no page ${file}`);
/** As a reader sees it, in one line. */
const plain = (text: string): string =>
  text
    .replace(/\\f[BIR]|\\&/g, "")
    .replaceAll("\\-", "-")
    .replace(/\s+/g, " ");

describe("manual pages say what the program knows", () => {
  test("of each command: its own page, every verb, option and example", () => {
    for (const { words, summary, options = [], examples, hidden } of COMMANDS) {
      if (hidden) continue;
      const page = plain(textOf(`subflow-${words[0]}.1`));
      for (const said of [`subflow ${words.join(" ")}`, ...options.map(({ name }) => `--${name}`)])
        assert.ok(page.includes(said), `${words.join(" ")}: ${said}`);
      for (const example of examples) assert.ok(page.includes(plain(example)), example);
      assert.ok(plain(textOf("subflow.1")).includes(plain(summary.replaceAll("`", ""))), summary);
    }
  });

  test("of the configuration every key, of the policies each one", () => {
    const { stdout } = spawnSync(process.execPath, [join(root, "bin", "subflow"), "config", "schema"], {
      encoding: "utf8",
    });
    const keys = [...stdout.matchAll(/"([a-z_]+)": \{/g)].map(([, key]) => key!).filter((key) => key !== "properties");
    assert.ok(keys.length > 30);
    const page = plain(textOf("subflow.yaml.5"));
    for (const key of keys) if (!["items", "default"].includes(key)) assert.ok(page.includes(key), key);
    for (const { name } of policies) assert.ok(plain(textOf("subflow-policies.7")).includes(name), name);
  });

  test("nothing of Markdown is left, and no text is taken for a request", () => {
    for (const { file, text } of pages) {
      assert.doesNotMatch(plain(text), /\]\(|\*\*|``|\bundefined\b|\[object /, file);
      for (const line of text.split("\n").filter((each) => /^[.']/.test(each)))
        assert.match(line, /^\.(TH|SH|SS|PP|TP|IP|RS|RE|nf|fi)( |$)/, `${file}: ${line}`);
    }
  });
});

/** Programs that check a page: what they print is a fault. */
for (const [name, words] of [
  ["groff", ["-man", "-ww", "-z", "-Tutf8", "-rLL=80n"]],
  ["mandoc", ["-T", "lint", "-W", "warning"]],
] as const) {
  test(`${name} has nothing to say about them`, (context) => {
    if (spawnSync(name, ["--version"]).error) return context.skip(`${name} is not installed`);
    for (const { file } of pages) {
      const { stdout, stderr } = spawnSync(name, [...words, join(folder, file)], { encoding: "utf8" });
      assert.equal(`${stdout}${stderr}`, "", file);
    }
  });
}
