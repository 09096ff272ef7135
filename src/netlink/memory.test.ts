import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { cleanMappings, releaseCleanPages } from "./memory.ts";

const SMAPS = `00400000-00b27000 r--p 00000000 fe:01 1835046 /usr/bin/node
Rss:                1004 kB
Anonymous:             0 kB
00b27000-00c00000 r-xp 00727000 fe:01 1835046 /usr/bin/node
Rss:                 300 kB
Anonymous:             4 kB
01c00000-01d00000 rw-p 01800000 fe:01 1835046 /usr/bin/node
Rss:                 100 kB
Anonymous:             0 kB
7f0000000000-7f0000100000 r--s 00000000 fe:01 77 /usr/share/shared
Rss:                 100 kB
Anonymous:             0 kB
7fff00000000-7fff00002000 r-xp 00000000 00:00 0 [vdso]
Rss:                   4 kB
Anonymous:             0 kB
`;

describe("clean pages", () => {
  it("are private, read-only, of a file, and unchanged", () => {
    assert.deepEqual(cleanMappings(SMAPS), [{ start: 0x400000, length: 0x727000, resident: 1004 * 1024 }]);
  });
  it("can be given back, and the process goes on", () => {
    const residentFile = (): number =>
      Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
    const before = residentFile();
    const released = releaseCleanPages();
    assert.ok(released > 5_000_000, `${released} bytes`);
    assert.ok(residentFile() < before - 4_000, "in kB");
    assert.equal(JSON.stringify([1, "a"].map(String)), '["1","a"]');
  });
});
