import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ByteReader } from "./bytes.ts";
import { RecordingError } from "./error.ts";
import { KNOWN_MAX, ValueReader, ValueWriter } from "./values.ts";

function through(values: readonly unknown[]): unknown[] {
  const writer = new ValueWriter();
  for (const value of values) writer.write(value);
  const reader = new ValueReader();
  const bytes = new ByteReader(writer.out.bytes.slice());
  reader.from(bytes);
  const read = values.map(() => reader.read());
  assert.equal(bytes.left, 0);
  return read;
}

const anything = fc.anything({
  withBigInt: true,
  withMap: true,
  withSet: true,
  withTypedArray: false,
  withNullPrototype: false,
  withObjectString: true,
});

describe("values as bytes", () => {
  test("whatever is written is read, in order", () => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 20 }), (values) => assert.deepEqual(through(values), values)),
    );
  });

  test("numbers at the edges of their forms", () => {
    const edges = [0, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 53 - 1), -0, 0.001];
    const more = [1.5, 12.345, 2 ** 49 / 1000, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 0.1 + 0.2, 5e-324];
    for (const value of [...edges, ...more]) assert.ok(Object.is(through([value])[0], value), String(value));
  });

  test("bytes, and a field that would change what an object is", () => {
    const record = JSON.parse('{"__proto__": {"type": "x"}, "b": 1}') as object;
    const [bytes, read] = through([new Uint8Array([1, 2, 255]), record]);
    assert.deepEqual(bytes, new Uint8Array([1, 2, 255]));
    assert.equal(Object.getPrototypeOf(read), Object.prototype);
    assert.deepEqual(Object.keys(read as object), ["__proto__", "b"]);
  });

  test("more texts than are known by number", () => {
    const many = Array.from({ length: KNOWN_MAX + 10 }, (_, n) => `text ${n}`);
    assert.deepEqual(through([...many, ...many]), [...many, ...many]);
  });

  test("any bytes give a value or one RecordingError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reader = new ValueReader();
        const from = new ByteReader(bytes);
        reader.from(from);
        try {
          while (from.left > 0) reader.read();
        } catch (error) {
          assert.ok(error instanceof RecordingError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("values that stand too deep in each other are refused", () => {
    const reader = new ValueReader();
    reader.from(new ByteReader(new Uint8Array(1000).fill(0xe1)));
    assert.throws(() => reader.read(), RecordingError);
  });
});
