import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  choice,
  count,
  duration,
  formatValue,
  type Parameter,
  parseValue,
  rate,
  share,
  signal,
  toggle,
  valuesOf,
} from "./parameters.ts";

const PARAMETERS = {
  wait: duration("", 300, [0, 3_600_000]),
  times: count("", 2, [1, 64]),
  loss: share("", 0.1),
  wifi: signal("", -80, [-100, -20]),
  speed: rate("", 1e6, [0, 1e10]),
  mode: choice("", ["ready", "lazy"]),
  eager: toggle("", false),
};

test("values are what people write, with units", () => {
  const value = (parameter: Parameter, given: unknown) => {
    const parsed = parseValue(parameter, given);
    return "value" in parsed ? parsed.value : parsed.fault;
  };
  const { wait, times, loss, speed, mode, eager } = PARAMETERS;
  assert.equal(value(wait, "1.5s"), 1500);
  assert.equal(value(wait, "2min"), 120_000);
  assert.equal(value(wait, "0"), 0);
  assert.equal(value(times, 3), 3);
  assert.equal(value(loss, "15%"), 0.15);
  assert.equal(value(loss, 0.15), 0.15);
  assert.equal(value(speed, "10Mbit/s"), 1.25e6);
  assert.equal(value(mode, "lazy"), "lazy");
  assert.equal(value(eager, "yes"), true);
  assert.match(String(value(wait, 300)), /300 is not a time/);
  assert.match(String(value(wait, "3 weeks")), /is not a time/);
  assert.match(String(value(wait, "2h")), /above 1h/);
  assert.match(String(value(times, 1.5)), /not a whole number/);
  assert.match(String(value(times, 0)), /below 1/);
  assert.match(String(value(mode, "eager")), /none of ready, lazy/);
  assert.match(String(value(eager, 2)), /neither true nor false/);
  assert.match(String(value(speed, "10Mbit")), /not a rate/);
});

test("what is written is read as it was, whatever the value", () => {
  const numeric = [PARAMETERS.wait, PARAMETERS.times, PARAMETERS.loss, PARAMETERS.speed];
  fc.assert(
    fc.property(fc.constantFrom(...numeric), fc.double({ min: 0, max: 1, noNaN: true }), (parameter, at) => {
      const { min, max } = parameter;
      const value = Math.round(min + at * (max - min));
      const parsed = parseValue(parameter, formatValue(parameter, value));
      assert.ok("value" in parsed, JSON.stringify(parsed));
      assert.ok(Math.abs(Number(parsed.value) - value) <= 1e-3 * value, `${parsed.value} ${value}`);
    }),
  );
});

test("each parameter has a value: what is given, or its default", () => {
  assert.deepEqual(valuesOf(PARAMETERS, { wait: 5 }), {
    wait: 5,
    times: 2,
    loss: 0.1,
    wifi: -80,
    speed: 1e6,
    mode: "ready",
    eager: false,
  });
  assert.deepEqual(valuesOf(undefined, { wait: 5 }), {});
});

test("signals are below 0 and in dBm, or off", () => {
  const { wifi } = PARAMETERS;
  const parsed = (given: unknown) => parseValue(wifi, given);
  for (const [given, value] of [
    ["-84dBm", -84],
    ["-72.5 dBm", -72.5],
    ["off", 0],
    [false, 0],
    ["0", 0],
    [0, 0],
  ] as const)
    assert.deepEqual(parsed(given), { value }, String(given));
  assert.deepEqual(parsed(-80), { fault: '-80 is not a signal strength as "-80dBm", or "off"' });
  assert.deepEqual(parsed("80dBm"), { fault: '"80dBm" is above -20dBm' });
  assert.deepEqual(parsed("-101dBm"), { fault: '"-101dBm" is below -100dBm' });
  assert.ok(
    "fault" in parsed("-80dB") && "fault" in parsed("weak") && "fault" in parsed(true) && "fault" in parsed("--80dBm"),
  );
  assert.ok("fault" in parseValue(PARAMETERS.wait, "-5s"), "nothing else is below 0");
  assert.deepEqual([formatValue(wifi, -80), formatValue(wifi, 0)], ["-80dBm", "off"]);
});
