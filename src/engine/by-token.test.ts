import assert from "node:assert/strict";
import { test } from "node:test";
import { ByToken } from "./by-token.ts";

test("by token: every u32 is a key of its own, in the order of their coming", () => {
  const tokens = [2 ** 32 - 1, 0, 2 ** 31, 1, 2 ** 31 - 1, 2 ** 31 + 1, 0xfedcba98];
  const map = new ByToken<number>();
  for (const token of tokens) map.set(token, token);
  assert.equal(map.size, tokens.length);
  assert.deepEqual([...map.values()], tokens);
  for (const token of tokens) assert.equal(map.get(token), token);
  map.delete(2 ** 32 - 1);
  assert.equal(map.get(2 ** 32 - 1), undefined);
  assert.deepEqual([...map.values()], tokens.slice(1));
});
