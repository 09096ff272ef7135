import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineBuffer } from "./lines.ts";

test("control: lines come out as they went in, however they are torn", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.nat(40)), (texts, cuts) => {
      const lines = texts.map((text) => text.replaceAll("\n", " "));
      let rest = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const buffer = new LineBuffer();
      const found: string[] = [];
      const take = (): void => {
        for (let line = buffer.next(); line; line = buffer.next()) found.push(line.toString());
      };
      for (const cut of cuts) {
        buffer.append(rest.subarray(0, cut));
        rest = rest.subarray(cut);
        if (cut % 3 !== 0) take();
      }
      buffer.append(rest);
      take();
      assert.deepEqual(found, lines);
      assert.equal(buffer.length, 0);
    }),
  );
});
