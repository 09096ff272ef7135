import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/sim/index.ts";
import { type Answer, type Client, type Memory, request, Served } from "./support.ts";

const LONG = process.env.SOAK !== undefined;
const REQUESTS = LONG ? 1_000_000 : 250_000;
/** The long run has two minutes. */
const TIMEOUT = 120_000;
const TALKERS = 24;
const LINES_OF_ONE = 200;
const MIB = 1 << 20;
const CODES = ["KERNEL", "REQUEST", "VERSION", "CONFIG", "BUSY", "DENIED", "INTERNAL"];

const METHODS = [
  "hello",
  "why",
  "host",
  "endpoint.add",
  "endpoint.delete",
  "limits.set",
  "limits.get",
  "snapshot",
  "reload",
];
const VALUES: readonly unknown[] = [
  0,
  -1,
  2 ** 53,
  1e308,
  "",
  "10.0.0.1",
  "\u0000",
  "💥".repeat(50),
  null,
  true,
  [],
  {},
  { toString: 1 },
  { toJSON: 1 },
  { __proto__: 1 },
  [[[[[[]]]]]],
];

/** A request of some sort: right, nearly right, or nothing of the kind. */
function line(random: Random): Buffer {
  switch (random.below(8)) {
    case 0:
      return withoutEnd(
        Buffer.from(["?".charCodeAt(0), ...Array.from({ length: random.below(200) }, () => random.below(256))]),
      );
    case 1:
      return Buffer.from(`{"v":${"[".repeat(random.below(3000))}`);
    case 2:
      return Buffer.from(
        JSON.stringify({ v: random.pick(VALUES), id: random.pick(VALUES), method: random.pick(VALUES) }),
      );
    case 3: {
      const text = Buffer.from(request(random.pick(METHODS), { address: "10.0.0.1", flags: 1 }));
      text[random.below(text.length)] = random.below(256) || 1;
      return withoutEnd(text);
    }
    case 4:
      return Buffer.from(
        request("why", { tokens: Array.from({ length: random.below(100) }, () => random.below(2 ** 32)) }),
      );
    case 5:
      return Buffer.from(
        request(random.pick(METHODS), { [String(random.pick(["id", "flags", "x"]))]: random.pick(VALUES) }),
      );
    default:
      return Buffer.from(request(random.chance(0.01) ? "snapshot" : "hello", {}, random.below(1000)));
  }
}

function withoutEnd(bytes: Buffer): Buffer {
  return bytes.map((byte) => (byte === 10 ? 1 : byte)) as Buffer;
}

function check(answer: Answer): void {
  assert.equal(answer.v, 1);
  if (answer.error) assert.ok(CODES.includes(answer.error.code), answer.error.code);
  else assert.ok("result" in answer);
}

/** Talks for a while, torn to pieces, and goes in one way or another. @returns how many lines it sent */
async function talk(served: Served, random: Random): Promise<number> {
  const client: Client = await served.client();
  const lines = 1 + random.below(LINES_OF_ONE);
  const bytes = Buffer.concat(Array.from({ length: lines }, () => [line(random), Buffer.from("\n")]).flat());
  for (let from = 0; from < bytes.length && client.socket.writable; ) {
    const to = from + 1 + random.below(random.chance(0.5) ? 20 : 20_000);
    if (!client.socket.write(bytes.subarray(from, to))) {
      await Promise.race([new Promise((resolve) => client.socket.once("drain", resolve)), client.closed]);
    }
    from = to;
  }
  // One in eight leaves in the middle, with answers unread.
  const isPatient = random.chance(0.875);
  if (isPatient) client.socket.end();
  else client.socket.destroy();
  let answers = 0;
  for (let answer = await client.answer(); answer; answer = await client.answer(), answers++) check(answer);
  if (isPatient) assert.equal(answers, lines, "an answer for each line");
  await client.closed;
  return lines;
}

test(`control: ${REQUESTS} requests, right, wrong and torn, do no harm and leave nothing`, {
  timeout: TIMEOUT,
}, async () => {
  await using served = await Served.start();
  const start = performance.now();
  let sent = 0;
  let baseline: Promise<Memory> | undefined;
  const talker = async (seed: number): Promise<void> => {
    const random = new Random(seed);
    while (sent < REQUESTS) {
      // Not `sent += await`: that adds to what it was before the wait.
      const lines = await talk(served, random);
      sent += lines;
      if (sent > REQUESTS / 4) baseline ??= served.memory();
    }
  };
  await Promise.all(Array.from({ length: TALKERS }, (_, seed) => talker(seed + 1)));
  using last = await served.client();
  assert.ok((await last.ask(request("hello")))?.result, "it answers still");
  const [quarter, end] = [await baseline, await served.memory()];
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const mib = (bytes: number | undefined) => Math.round(((bytes ?? 0) / MIB) * 10) / 10;
  console.log(
    `${sent} lines in ${seconds} s, ${end.calls} reached the service; MiB used ${mib(quarter?.used)} -> ${mib(end.used)}, resident ${mib(quarter?.rss)} -> ${mib(end.rss)}`,
  );
  assert.ok(end.used - (quarter?.used ?? 0) < 4 * MIB, "no growth of what is used");
  assert.ok(end.rss < 256 * MIB, "no growth of what is resident");
});
