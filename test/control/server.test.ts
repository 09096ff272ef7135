import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { CLIENTS_MAX } from "../../src/control/index.ts";
import { type Answer, request, Served } from "./support.ts";

const MIB = 1 << 20;

test("control: a wrong request is answered with a code and the place, and the next one as ever", async () => {
  await using served = await Served.start();
  using client = await served.client();
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const cases: readonly (readonly [string | Buffer, Partial<Answer["error"]> & object])[] = [
    ["nonsense", { code: "REQUEST", offset: 0 }],
    ['{"v":1,"id":1,', { code: "REQUEST", offset: 14 }],
    [Buffer.from([0xff, 0xfe]), { code: "REQUEST", offset: 0 }],
    ["[]", { code: "REQUEST" }],
    ["null", { code: "REQUEST" }],
    ['{"id":1,"method":"hello"}', { code: "REQUEST", path: "v" }],
    [`{"v":${nested(10)},"id":1}`, { code: "REQUEST", path: "v" }],
    [`{"v":${nested(20_000)},"id":1}`, { code: "REQUEST", offset: 20 }],
    ['{"v":{"toString":1},"id":1}', { code: "REQUEST", path: "v" }],
    ['{"v":2,"id":1,"method":"hello"}', { code: "VERSION", path: "v" }],
    ['{"v":1,"id":{"toString":1},"method":"hello"}', { code: "REQUEST", path: "id" }],
    ['{"v":1,"id":1,"method":{"toString":1}}', { code: "REQUEST", path: "method" }],
    [request("explode"), { code: "REQUEST", path: "method" }],
    [request("__proto__"), { code: "REQUEST", path: "method" }],
    [request("hello", []), { code: "REQUEST", path: "params" }],
    [request("hello", { more: 1 }), { code: "REQUEST", path: "params.more" }],
    [request("endpoint.add", { address: "10.0.0.300", flags: 1 }), { code: "REQUEST", path: "params.address" }],
    [request("endpoint.add", { address: "10.0.0.3", flags: 1, id: 256 }), { code: "REQUEST", path: "params.id" }],
    [request("why", { tokens: [1, 2, "x"] }), { code: "REQUEST", path: "params.tokens.2" }],
    [request("limits.get"), { code: "INTERNAL", message: "a fault" }],
    [request("host"), { code: "INTERNAL" }],
    [request("endpoint.flush"), { code: "KERNEL" }],
  ];
  for (const [line, expected] of cases) {
    const { v, error } = (await client.ask(line)) ?? {};
    const place = error && Object.fromEntries(Object.keys(expected).map((key) => [key, error[key as "code"]]));
    assert.deepEqual([v, place], [1, expected], String(line).slice(0, 80));
    assert.ok(error && error.message.length < 2000);
    assert.ok((await client.ask(request("hello")))?.result, "the next one is answered");
  }
  assert.equal(statSync(served.path).mode & 0o777, 0o660);
});

test("control: one more client than there is room for is told so, and harms nobody; so is one that is refused and resets", async () => {
  await using served = await Served.start();
  const clients = await Promise.all(Array.from({ length: CLIENTS_MAX }, () => served.client()));
  for (const client of clients) assert.ok((await client.ask(request("hello")))?.result);
  for (let round = 0; round < 200; round++) {
    using late = await served.client();
    // Half of them do not wait for the answer: the server writes to a socket that is gone.
    if (round % 2 === 0) late.socket.write(`${request("hello")}\n`);
    else assert.equal((await late.answer())?.error?.code, "BUSY");
  }
  for (const client of clients) assert.ok((await client.ask(request("hello")))?.result);
  clients[0]?.socket.destroy();
  await clients[0]?.closed;
  for (;;) {
    using next = await served.client();
    if ((await next.ask(request("hello")))?.result) break;
  }
  for (const client of clients) client[Symbol.dispose]();
});

test("control: a line that never ends is refused, and its client closed", async () => {
  await using served = await Served.start();
  using client = await served.client();
  client.socket.write(`{"v":1,"id":1,"method":"${"x".repeat(70_000)}`);
  assert.deepEqual((await client.answer())?.error?.offset, 65_536);
  await client.closed;
  using other = await served.client();
  other.socket.write(`{"v":1,"id":1,"method":"${"x".repeat(70_000)}"}\n`);
  assert.match((await other.answer())?.error?.message ?? "", /at most 65536 bytes/);
  await other.closed;
});

test("control: requests that are sent in a row are all answered, in their order, however many", async () => {
  await using served = await Served.start();
  using client = await served.client();
  const count = 5000;
  client.socket.write(Array.from({ length: count }, (_, id) => `${request("hello", {}, id)}\n`).join(""));
  for (let id = 0; id < count; id++) assert.equal((await client.answer())?.id, id);
  client.socket.write(Array.from({ length: 100 }, (_, id) => `${request("why", { tokens: [] }, id)}\n`).join(""));
  for (let id = 0; id < 100; id++) assert.equal((await client.answer())?.id, id, "those that are answered later too");
});

test("control: who has asked everything and closes that side is answered still", async () => {
  await using served = await Served.start();
  using client = await served.client();
  const lines = Array.from(
    { length: 300 },
    (_, id) => `${request(id % 3 ? "hello" : "why", id % 3 ? {} : { tokens: [] }, id)}\n`,
  );
  client.socket.end(lines.join(""));
  const ids = new Set<number>();
  for (let answer = await client.answer(); answer; answer = await client.answer()) ids.add(answer.id);
  assert.equal(ids.size, 300);
  await client.closed;
});

test("control: who asks and does not read is closed, and costs little memory meanwhile", async () => {
  await using served = await Served.start();
  const before = await served.memory();
  using busy = await served.client();
  const silent = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const client = await served.client();
      client.socket.pause();
      client.socket.write(`${request("snapshot")}\n`.repeat(20_000));
      return client;
    }),
  );
  assert.ok((await busy.ask(request("hello")))?.result);
  const during = await served.memory();
  assert.ok(during.used - before.used < 16 * MIB, `${(during.used - before.used) / MIB} MiB for 8 clients`);
  // 160,000 requests of 100 KB each: those that are served are those whose answers find room.
  assert.ok(during.calls < 1000, `${during.calls} requests were served`);
  // Closed while they still do not read: what they had to say more fails.
  for (const client of silent) await client.closed;
  assert.ok((await busy.ask(request("hello")))?.result);
});
