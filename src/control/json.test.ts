import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NESTING_MAX, parseJson } from "./json.ts";

const parse = (text: string) => parseJson(Buffer.from(text));

for (const [text, offset, problem] of [
  ["", 0, /value expected/],
  ["nonsense", 0, /value expected/],
  ['{"a":1,}', 7, /key expected/],
  ['{"a" 1}', 5, /: expected/],
  ['{"a":1 "b":2}', 7, /, or } expected/],
  ["[1,2", 4, /, or ] expected/],
  ["[1] 2", 4, /end expected/],
  ['{"ä":01}', 7, /, or } expected/],
  ["[01]", 2, /, or ] expected/],
  ['["\u0001"]', 1, /value or ] expected/],
] as const) {
  test(`control: ${JSON.stringify(text)} is wrong at byte ${offset}`, () => {
    const fault = parse(text);
    assert.ok("problem" in fault);
    assert.match(fault.problem, problem);
    assert.equal(fault.offset, offset);
  });
}

test("control: bytes that are no UTF-8 are refused", () => {
  assert.deepEqual(parseJson(Buffer.from([0x22, 0xff, 0x22])), { problem: "not UTF-8", offset: 0 });
});

test("control: nesting is bounded, brackets in strings do not count", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.ok("value" in parse(nested(NESTING_MAX)));
  assert.deepEqual(parse(nested(NESTING_MAX + 1)), { problem: "nested deeper than 16", offset: NESTING_MAX });
  assert.deepEqual(parse(`"${"[{".repeat(100)}\\"["`), { value: `${"[{".repeat(100)}"[` });
});

test("control: any text is parsed as JSON.parse does, or has a fault inside it", () => {
  const part = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"a"',
    "1",
    "-0.5e3",
    "true",
    "nul",
    " ",
    "\n",
    '"\\u12"',
    "é",
  );
  const text = fc.oneof(
    fc.array(part, { maxLength: 20 }).map((parts) => parts.join("")),
    fc.json({ maxDepth: 5 }),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (given) => {
      let expected: { value: unknown } | undefined;
      try {
        expected = { value: JSON.parse(given) };
      } catch {
        expected = undefined;
      }
      const found = parse(given);
      if (expected) return assert.deepEqual(found, expected);
      assert.ok("problem" in found && found.offset >= 0 && found.offset <= Buffer.byteLength(given));
    }),
    { numRuns: 3000 },
  );
});
