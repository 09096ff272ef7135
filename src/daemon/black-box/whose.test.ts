import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { SubflowError, type Token } from "../../types/index.ts";
import { Whose } from "./whose.ts";

function world(read: (token: Token) => number | undefined) {
  const found: [Token, number][] = [];
  let asked = 0;
  const whose = new Whose({
    onFound: (token, uid) => void found.push([token, uid]),
    open: () => ({
      read: (token) => {
        asked++;
        const uid = read(token);
        return uid === undefined ? undefined : { uid, inode: 1, cgroup: undefined };
      },
      [Symbol.dispose]: () => undefined,
    }),
  });
  return { whose, found, asked: () => asked };
}

test("whose connections are is asked behind the turn, a few at a time, once each", async () => {
  const { whose, found, asked } = world((token) => 1000 + token);
  for (let token = 1; token <= 20; token++) whose.begun(token);
  whose.begun(1);
  assert.equal(asked(), 0);
  whose.ended(3);
  while (asked() === 0) await turn();
  assert.equal(asked(), 8);
  for (let left = 0; left < 3; left++) await turn();
  assert.equal(asked(), 19, "not of what is over");
  assert.deepEqual(found[0], [1, 1001]);
  whose.begun(1);
  await turn();
  assert.equal(asked(), 19, "it is known");
  whose.ended(1);
  assert.equal(whose.of(1), undefined);
  assert.equal(whose.of(2), 1002);
});

test("what the kernel does not tell is not known, and harms nothing; too many are too many", async () => {
  const { whose, found, asked } = world((token) => {
    if (token === 1) throw new SubflowError("no", { code: "NETLINK" });
    return undefined;
  });
  for (let token = 1; token <= 5000; token++) whose.begun(token);
  while (asked() < 1000) await turn();
  await turn();
  assert.equal(asked(), 1000);
  assert.deepEqual(found, []);
  whose[Symbol.dispose]();
});
