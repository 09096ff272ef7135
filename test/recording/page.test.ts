import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare } from "../../src/cli/replay/compared.ts";
import { page } from "../../src/cli/replay/html.ts";
import { SideBySideMaker } from "../../src/cli/replay/side-by-side.ts";
import { comparedText, sideBySideText, storyText } from "../../src/cli/replay/text.ts";
import { bufferStreams } from "../../src/cli/streams.ts";
import type { Action, EngineEvent } from "../../src/engine/index.ts";
import type { Entry } from "../../src/recording/index.ts";
import type { Address } from "../../src/types/index.ts";

/** An address, and names, as no daemon writes them. */
const EVIL = `10.0.0.1</td><script>alert(1)</script>"'&\u001b[2J\u009b31m\u202e` as Address;

function hostile(): Entry[] {
  const path = { local: { address: EVIL, port: 1 }, remote: { address: EVIL, port: 2 } };
  const facts = { token: 1, side: "client", path, denyJoinId0: false } as const;
  const told: EngineEvent[] = [
    { type: "connection.established", ...facts },
    { type: "subflow.closed", token: 1, path, localId: 0, remoteId: 0, errno: 110 },
  ];
  const wrong: Action = { id: 9, type: "address.remove", token: 1, localId: EVIL as never };
  return [
    {
      ...{ type: "begin", at: 0, epoch: 1e12, life: "a", part: 0, before: 0, version: EVIL, kernel: EVIL },
      ...{ pathManager: "userspace", engine: { setUp: [] } },
    },
    ...told.map((event, index): Entry => ({ type: "event", at: index + 1, event, actions: [wrong] })),
  ];
}

describe("a recording of somebody else's", () => {
  const maker = new SideBySideMaker({ treatment: { policy: "fullmesh", given: {} }, host: (config) => config });
  const compared = compare(hostile(), { told: 100, onEntry: (entry) => maker.play(entry) });

  test("leads to a page without anything but text, whose elements are closed", () => {
    for (const side of [maker.result, undefined]) check(page(`${EVIL}.rec`, compared, side, EVIL));
  });

  function check(html: string): void {
    assert.doesNotMatch(html, /<script|javascript:|https?:|\son\w+=|src=|url\(/i);
    assert.match(html, /<meta http-equiv="Content-Security-Policy" content="default-src 'none'/);
    const open: string[] = [];
    for (const [, slash, name, end] of html.matchAll(/<(\/?)([a-z]\w*)[^>]*?(\/?)>/g)) {
      if (name === "meta" || end === "/") continue;
      if (slash) assert.equal(open.pop(), name, html.slice(0, 200));
      else open.push(name!);
    }
    assert.deepEqual(open, []);
    assert.match(html, /<svg viewBox[^>]*role="img" aria-label=/);
  }

  test("steers no terminal", () => {
    for (const width of [40, 80, 200]) {
      const streams = bufferStreams({ width });
      const began = compared.lives[0]!.from;
      const text = [
        comparedText("x.rec", 1, compared, streams),
        storyText(compared.story, 0, began, streams),
        sideBySideText(maker.result, began, streams),
      ].join("");
      assert.ok(text.includes("10.0.0.1"));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is meant
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  });
});
