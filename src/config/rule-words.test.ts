import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { parse } from "yaml";
import { toldRules } from "./rule-words.ts";
import { CONFIG_SCHEMA } from "./schema.ts";

const NOON = new Date("2026-11-27T12:00:00");

const configOf = (text: string) => v.parse(CONFIG_SCHEMA, parse(text));

test("rules in words: what each is for, how that is treated, and whether it is its time", () => {
  const { rules } = configOf(`rules:
  - { name: backups, match: { unit: borg.service, time: "22:00-06:00" }, policy: { name: active-backup, hold_down: 30s } }
  - { match: { side: client, remote: [10.0.0.0/8, "2001:db8::/32"], remote_port: [443, 8000-8080] }, interfaces: { deny: "wwan*" } }
  - { match: {}, delay: 64kB, limits: { subflows: 1 } }
`);
  assert.deepEqual(toldRules(rules, NOON), {
    more: 0,
    rules: [
      {
        name: "backups",
        match: "unit borg.service, time 22:00-06:00",
        treatment: "policy active-backup hold_down=30s",
        isNow: false,
      },
      {
        name: "2",
        match: "side client, remote 10.0.0.0/8 or 2001:db8::/32, remote port 443 or 8000-8080",
        treatment: "deny wwan*",
        isNow: true,
      },
      { name: "3", match: "everything", treatment: "delay 64kB, subflows 1", isNow: true },
    ],
  });
});

test("rules in words: however many and long they are, little is told", () => {
  const long = Array.from({ length: 500 }, (_, index) => `10.${index % 250}.0.0/16`).join(", ");
  const many = Array.from({ length: 250 }, () => `  - { match: { remote: [${long}] }, delay: 1s }`).join("\n");
  const told = toldRules(configOf(`rules:\n${many}\n`).rules, NOON);
  assert.deepEqual([told.rules.length, told.more], [100, 150]);
  assert.ok(JSON.stringify(told).length < 40_000);
});
