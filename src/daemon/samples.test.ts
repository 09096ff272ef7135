import assert from "node:assert/strict";
import { test } from "node:test";
import { CAPTURED } from "../../test/captured/linux-6.18.ts";
import { type EstablishedPattern, establishedPattern, NLMSG_HEADER, narrowed } from "../wire/index.ts";
import { SAMPLES_MAX, Samples } from "./samples.ts";

const PAYLOAD = Buffer.from(CAPTURED.clientEstablished, "hex");
const EVENT = new Uint8Array(NLMSG_HEADER + PAYLOAD.length);
EVENT.set(PAYLOAD, NLMSG_HEADER);
new DataView(EVENT.buffer).setUint32(0, EVENT.length, true);
/** The family's number. */
EVENT[4] = 31;

function pattern(message: Uint8Array, ...fixed: string[]): EstablishedPattern {
  const found = establishedPattern(message);
  assert.ok(found);
  return narrowed(found, new Set(fixed));
}

/** The event with another value in one part, and another number. */
function other(what: string, value: number): Uint8Array {
  const message = EVENT.slice();
  const part = pattern(EVENT).varying.find((each) => each.what === what);
  assert.ok(part);
  message.fill(value, part.at, part.at + part.length);
  message[8] = value;
  return message;
}

test("samples: what varies makes no difference, what is fixed does, and so does everything else", () => {
  const samples = new Samples();
  assert.equal(samples.isEmpty, true);
  assert.equal(samples.add(pattern(EVENT, "remote port")), 0);
  for (const what of ["token", "local port", "remote address"]) assert.ok(samples.has(other(what, 99)), what);
  assert.equal(samples.has(other("remote port", 99)), false);
  assert.equal(samples.has(EVENT.slice(0, -1)), false, "a shorter one");
  for (let at = NLMSG_HEADER; at < EVENT.length; at++) {
    const isVarying = pattern(EVENT, "remote port").varying.some((part) => part.at <= at && at < part.at + part.length);
    const changed = EVENT.slice();
    changed[at]! ^= 1;
    assert.equal(samples.has(changed), isVarying, `byte ${at}`);
  }
  assert.equal(samples.add(pattern(other("remote port", 99), "remote port")), 1);
  assert.equal(samples.has(other("remote port", 99)), true);
});

test("samples: where there is no room, what comes a second time takes the place of what came longest ago", () => {
  const samples = new Samples();
  const port = (value: number) => other("remote port", value);
  for (let value = 0; value < SAMPLES_MAX; value++)
    assert.equal(samples.add(pattern(port(value), "remote port")), value);
  assert.ok(samples.has(port(0)), "used again");
  for (let value = 100; value < 250; value++)
    assert.equal(samples.add(pattern(port(value), "remote port")), undefined, "those that come once push nothing out");
  for (let value = 0; value < SAMPLES_MAX; value++) if (value !== 1) assert.ok(samples.has(port(value)), `${value}`);
  assert.equal(samples.add(pattern(port(249), "remote port")), 1);
  assert.equal(samples.has(port(1)), false);
  assert.equal(samples.add(pattern(port(100), "remote port")), undefined, "too long ago to be remembered");
  assert.deepEqual(samples.clear().map(({ message }) => message)[0], port(249), "those that came last first");
  assert.equal(samples.isEmpty, true);
});
