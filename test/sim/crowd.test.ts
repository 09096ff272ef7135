import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimConnection } from "../../src/sim/index.ts";
import { Crowd, twentyRules } from "./crowd.ts";

/** Its local addresses with a subflow that works, backups in brackets. */
const pathsOf = ({ subflows }: SimConnection): string =>
  subflows
    .filter(({ state }) => state === "established")
    .map(({ path, backup }) => (backup ? `(${path.local.address})` : path.local.address))
    .sort()
    .join(" ");

test("crowd: 1,000 connections under 20 rules and a link that flaps: so many commands a flap, and no more for each further one", () => {
  const crowd = new Crowd({ connections: 1000, policy: "resilient", rules: twentyRules() });
  const commands: number[] = [];
  for (let flap = 0; flap < 10; flap++) {
    const before = crowd.commands;
    crowd.lose(2);
    crowd.pass(1000);
    crowd.restore(2);
    crowd.pass(4000);
    commands.push(crowd.commands - before);
  }
  // To close a subflow is to take its address back and to close it; to open it is one, and some say who is backup.
  for (const sum of commands) assert.ok(sum <= 3 * 1000, `${commands.join(", ")}`);
  assert.ok(Math.max(...commands.slice(1)) <= (commands[0] ?? 0), `${commands.join(", ")}`);
  crowd.pass(20_000);
  assert.equal(
    crowd.missing((connection) => pathsOf(connection).includes("10.0.1.1")),
    0,
    "all are on the link that stayed",
  );
});

test("crowd: the link that 10,000 active-backup connections use is lost: each goes on by the other, in that turn", () => {
  const crowd = new Crowd({ connections: 10_000, policy: "active-backup" });
  assert.equal(
    crowd.missing((connection) => pathsOf(connection) === "(10.0.2.1) 10.0.1.1"),
    0,
  );
  const before = crowd.commands;
  crowd.lose(1);
  assert.equal(
    crowd.missing((connection) => pathsOf(connection) === "10.0.2.1"),
    0,
    "no time has passed",
  );
  assert.ok(crowd.commands - before <= 3 * 10_000, `${crowd.commands - before}`);
  crowd.restore(1);
  crowd.pass(30_000);
  assert.equal(
    crowd.missing((connection) => pathsOf(connection) === "(10.0.2.1) 10.0.1.1"),
    0,
    "and back",
  );
});
