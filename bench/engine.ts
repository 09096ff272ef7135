/**
 * The pure engine: events a second, bytes per connection, and whether the cost of an event grows with the number of connections.
 * `node dist/bench/engine.js [connections]`, default 10^6 (needs about 2 GiB: node --max-old-space-size=4096).
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Engine, type EngineEvent } from "../src/engine/index.ts";
import { policies } from "../src/policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../src/types/index.ts";

const LIVES = 20_000;
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const connectionsMax = Number(process.argv[2] ?? 1_000_000);
const policy = process.argv[3] ?? "standard";

/** Addresses as a decoder makes them: new strings and objects each time. */
function path(link: number, token: number, port: number): Path {
  return {
    local: { address: ["10", "0", link, "2"].join(".") as Address, port },
    remote: { address: ["10", (token >> 16) & 255, (token >> 8) & 255, token & 255].join(".") as Address, port: 80 },
  };
}

function begin(engine: Engine, token: number, now: number): number {
  const facts = { token, side: "client", path: path(0, token, 40_000), denyJoinId0: false } as const;
  engine.handle({ type: "connection.created", ...facts }, now);
  const established: EngineEvent = { type: "connection.established", ...facts, path: path(0, token, 40_000) };
  const started = process.hrtime.bigint();
  const [create] = engine.handle(established, now);
  const duration = Number(process.hrtime.bigint() - started);
  if (create?.type !== "subflow.create") throw new Error("a subflow is asked for in the same call");
  engine.handle({ type: "action.done", action: create }, now);
  const joined = { token, path: path(1, token, 41_000), localId: 1, remoteId: 0, backup: false } as const;
  engine.handle({ type: "subflow.established", ...joined }, now);
  return duration;
}

function end(engine: Engine, token: number, now: number): void {
  engine.handle({ type: "connection.closed", token }, now);
}

/** Tokens are random over 32 bits (Knuth's multiplier spreads them): half of them are no small integers of V8. */
const tokenOf = (n: number): number => Math.imul(n, 2654435761) >>> 0;

const percentile = (sorted: Float64Array, p: number): number => sorted[Math.floor((sorted.length - 1) * p)] ?? 0;

const engine = new Engine({ policies });
const endpoints = [{ address: "10.0.1.2" as Address, flags: ENDPOINT_FLAG.subflow }];
engine.handle({ type: "config.changed", endpoints, limits: { subflows: 2, addAddrAccepted: 2 }, policy }, 0);

collectGarbage();
const heapBefore = process.memoryUsage().heapUsed;
let standing = 0;
let now = 0;
console.log("standing connections | events/s | ns/event | established→create p50 µs | p99 µs | heap bytes/connection");
for (const size of [0, 1_000, 10_000, 100_000, 1_000_000].filter((s) => s <= connectionsMax)) {
  for (; standing < size; standing++) begin(engine, tokenOf(standing + 1), ++now);
  collectGarbage();
  const perConnection = standing > 0 ? (process.memoryUsage().heapUsed - heapBefore) / standing : 0;
  const durations = new Float64Array(LIVES);
  const lives = (record: boolean): number => {
    const started = process.hrtime.bigint();
    for (let i = 0; i < LIVES; i++) {
      const token = tokenOf(2 ** 31 + (i % 1000));
      const duration = begin(engine, token, ++now);
      end(engine, token, now);
      if (record) durations[i] = duration;
    }
    return Number(process.hrtime.bigint() - started);
  };
  lives(false);
  const nanoseconds = lives(true) / (LIVES * 5);
  durations.sort();
  console.log(
    [
      String(standing).padStart(20),
      String(Math.round(1e9 / nanoseconds)).padStart(8),
      nanoseconds.toFixed(0).padStart(8),
      (percentile(durations, 0.5) / 1000).toFixed(2).padStart(25),
      (percentile(durations, 0.99) / 1000).toFixed(2).padStart(6),
      perConnection.toFixed(0).padStart(21),
    ].join(" | "),
  );
}
