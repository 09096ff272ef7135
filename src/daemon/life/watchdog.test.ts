import assert from "node:assert/strict";
import { test } from "node:test";
import { loadNative, substituteNative } from "../../netlink/index.ts";
import { intervalOf, Watchdog } from "./watchdog.ts";

test("watchdog: its interval is what the service manager says, if this process is meant", () => {
  assert.equal(intervalOf({}), undefined);
  assert.equal(intervalOf({ WATCHDOG_USEC: "30000000" }), 30_000);
  assert.equal(intervalOf({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: `${process.pid}` }), 30_000);
  assert.equal(intervalOf({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: `${process.pid + 1}` }), undefined);
  for (const bad of ["0", "-1", "soon", ""]) assert.equal(intervalOf({ WATCHDOG_USEC: bad }), undefined);
});

test("watchdog: it tells at half the interval, and only while the daemon serves", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const told: string[] = [];
  using _double = substituteNative({
    ...loadNative(),
    sendUnixDatagram: (path, bytes) => told.push(`${path} ${Buffer.from(bytes)}`),
  });
  Object.assign(process.env, { WATCHDOG_USEC: "10000000", NOTIFY_SOCKET: "/run/notify" });
  context.after(() => {
    delete process.env.WATCHDOG_USEC;
    delete process.env.NOTIFY_SOCKET;
  });
  let isServing = true;
  const watchdog = new Watchdog(() => isServing);
  assert.deepEqual(told.splice(0), ["/run/notify WATCHDOG=1"]);
  context.mock.timers.tick(5000);
  assert.equal(told.splice(0).length, 1);
  isServing = false;
  context.mock.timers.tick(20_000);
  assert.deepEqual(told, []);
  isServing = true;
  context.mock.timers.tick(5000);
  assert.equal(told.splice(0).length, 1);
  watchdog[Symbol.dispose]();
  context.mock.timers.tick(20_000);
  assert.deepEqual(told, []);
});
