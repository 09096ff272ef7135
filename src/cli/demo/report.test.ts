import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { painter } from "../streams.ts";
import { eventLine, frame, report } from "./report.ts";
import type { DemoResult, DemoState } from "./state.ts";

const plain = painter(false);
const STATE: DemoState = {
  release: "6.18.0",
  manager: "kernel",
  goal: 30_000_000,
  paths: [
    {
      name: "wifi",
      rate: 20e6,
      local: "10.0.1.1",
      remote: "10.0.1.2",
      isUp: false,
      role: "initial",
      bytes: 9.4e6,
      throughput: 0,
    },
    {
      name: "cellular",
      rate: 12e6,
      local: "10.0.2.1",
      remote: "10.0.2.2",
      isUp: true,
      role: "joined, backup",
      bytes: 6.6e6,
      throughput: 9e6,
    },
  ],
  events: [{ at: 4017.4, source: "demo", text: "wifi is cut", bytes: [9.4e6, 0] }],
  token: 0xb1e70dd9,
  elapsed: 6000,
  received: 15e6,
  stalls: [{ start: 0, duration: 609.4 }],
};
const RESULT: DemoResult = {
  state: STATE,
  isIntact: true,
  duration: 15_500,
  stalls: [
    { phase: "both paths up", longest: 0 },
    { phase: "wifi cut", longest: 609.4 },
  ],
  delays: { otherPath: 612.3, back: undefined },
  leftOut: ["no subflow 10.0.1.1: limit reached"],
  kernelEventsWhileCut: 0,
  counters: [{ name: "SubflowStale", value: 1, meaning: "given up" }],
};

describe("the demo's text", () => {
  it("gives each event its time and source", () => {
    assert.equal(eventLine(STATE.events[0]!, plain), " 4.017 s  demo     wifi is cut");
  });
  it("draws a picture that fits a terminal of 80 columns", () => {
    const lines = frame(STATE, plain, 80);
    assert.deepEqual(lines.slice(1, 4), [
      "  wifi      ····················    0.0 of 20 Mbit/s  cut  initial",
      "  cellular  ███████████████·····    9.0 of 12 Mbit/s  up   joined, backup",
      "  received  ██████████··········  15 MB of 30 MB",
    ]);
    assert.ok(
      lines.every((line) => line.length <= 80),
      "a longer line would wrap",
    );
    for (const width of [40, 50, 60, 70]) assert.ok(frame(STATE, plain, width).every((line) => line.length <= width));
  });
  it("sums up", () => {
    const text = report(RESULT, plain);
    assert.match(text, /^ 4\.017 s {5}9\.4 MB {8}0 B {2}demo: wifi is cut$/m);
    assert.match(text, /^checksum {7}equal \(SHA-256\)$/m);
    assert.match(text, /^carried {8}wifi 9\.4 MB \(59 %\), cellular 6\.6 MB \(41 %\)/m);
    assert.match(text, /^longest stall {2}both paths up < 20 ms, wifi cut 609 ms$/m);
    assert.match(text, /^SubflowStale {3}1: given up$/m);
    assert.match(text, /^other path {5}carried data 612 ms after the cut$/m);
    assert.match(text, /^wifi again {5}carried no data any more$/m);
    assert.match(text, /^left out {7}no subflow 10\.0\.1\.1: limit reached$/m);
    assert.match(text, /a lost link is no event to it/);
    assert.match(report({ ...RESULT, state: { ...STATE, manager: "subflow" } }, plain), /It saw the carrier go/);
    assert.match(
      report({ ...RESULT, isIntact: false, kernelEventsWhileCut: 2 }, plain),
      /DIFFERENT[\s\S]*reported 2 events/,
    );
  });
});
