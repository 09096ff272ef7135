import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { policies } from "../policies/index.ts";
import { main } from "./main.ts";
import { bufferStreams } from "./streams.ts";

const document = readFileSync(new URL("../../../docs/policies.md", import.meta.url), "utf8");

async function printed(...words: string[]): Promise<string> {
  const streams = bufferStreams();
  assert.equal(await main(["policy", ...words], streams), 0);
  return `$ subflow policy ${words.join(" ")}\n${streams.stdout}`;
}

test("docs/policies.md has each policy, and what is printed of it", async () => {
  assert.ok(document.includes(await printed("list")), "policy list");
  for (const { name, parameters } of policies) {
    assert.match(document, new RegExp(`^##+ \`${name}\`$`, "m"));
    if (parameters) assert.ok(document.includes(await printed("show", name)), name);
  }
});
