import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { play } from "./transcript.ts";

// The transcripts are beside the source, the compiled test is under dist/ in the same layout.
const here = dirname(fileURLToPath(import.meta.url)).replace("/dist/", "/");

for (const name of readdirSync(here).filter((file) => file.endsWith(".txt"))) {
  test(`golden: ${name}`, () => {
    const path = join(here, name);
    const before = readFileSync(path, "utf8");
    const after = play(before);
    if (process.env.UPDATE === "1") writeFileSync(path, after);
    else assert.equal(after, before);
  });
}
