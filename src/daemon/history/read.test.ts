import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { EngineEvent } from "../../engine/index.ts";
import { RecordingWriter } from "../../recording/index.ts";
import type { Address, Path } from "../../types/index.ts";
import { readHistory } from "./read.ts";

const PATH: Path = {
  local: { address: "10.0.1.1" as Address, port: 40_000 },
  remote: { address: "10.0.1.2" as Address, port: 443 },
};
/** When the recording begins. Milliseconds since 1970. */
const EPOCH = 1e12;

/** A ring of one file, in which users had connections one after the other: [token, uid, is it over]. */
function ring(connections: readonly (readonly [number, number | undefined, boolean])[]): string {
  const writer = new RecordingWriter();
  const about = { life: "a", version: "1", kernel: "6.18", pathManager: "userspace" } as const;
  writer.begin({ type: "begin", at: 0, epoch: EPOCH, part: 0, before: 0, ...about });
  let at = 0;
  const tell = (event: EngineEvent): boolean => writer.add({ type: "event", at: ++at, event, actions: [] });
  for (const [token, uid, isOver] of connections) {
    tell({ type: "connection.created", token, side: "client", path: PATH, denyJoinId0: false });
    if (uid !== undefined) writer.add({ type: "owner", at: ++at, token, uid });
    if (isOver) tell({ type: "connection.closed", token });
  }
  const directory = mkdtempSync(join(tmpdir(), "subflow-history-"));
  writeFileSync(join(directory, "00000001.rec"), writer.take() ?? "");
  return directory;
}

function ask(connections: Parameters<typeof ring>[0], query: Partial<Parameters<typeof readHistory>[0]>) {
  const directory = ring(connections);
  try {
    return readHistory({ directory, uid: undefined, ...query });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("history: a user is told of what is theirs, and nobody of what is nobody's", () => {
  const all = [
    [1, 1000, true],
    [2, 1001, false],
    [3, undefined, true],
    [4, 65_534, true],
  ] as const;
  const tokens = (uid: number | undefined): number[] => ask(all, { uid }).connections.map(({ token }) => token);
  assert.deepEqual(tokens(1000), [1]);
  assert.deepEqual(tokens(1001), [2]);
  assert.deepEqual(tokens(65_534), [], "who has no name here is several");
  assert.deepEqual(tokens(0), []);
  assert.deepEqual(tokens(undefined), [1, 2, 3, 4], "and root of all, in the order of their beginning");
});

test("history: of a token that several had, each is told their part of the story", () => {
  const story = (uid: number) =>
    ask(
      [
        [7, 1000, true],
        [7, 1001, true],
      ],
      { uid, token: 7 },
    ).story ?? [];
  assert.deepEqual(
    story(1000).map(({ time }) => time - EPOCH),
    [1, 3],
  );
  assert.deepEqual(
    story(1001).map(({ time }) => time - EPOCH),
    [4, 6],
  );
  assert.deepEqual(story(1002), []);
});

test("history: bounded, in pages from the newest on", () => {
  const many = Array.from({ length: 1300 }, (_, nth) => [nth + 1, 1000, true] as const);
  const page = (skip: number) => ask(many, { uid: 1000, skip });
  assert.deepEqual([page(0).connections.length, page(0).more], [512, 788]);
  assert.deepEqual([page(0).connections[0]?.token, page(0).connections.at(-1)?.token], [789, 1300]);
  assert.deepEqual([page(1024).connections[0]?.token, page(1024).connections.length, page(1024).more], [1, 276, 0]);
  assert.deepEqual(page(5000), { connections: [], more: 0 });
});

test("history: what was over before the time asked for is left out, and no ring is an empty one", () => {
  assert.equal(
    ask(
      [
        [1, 1000, true],
        [2, 1000, false],
      ],
      { since: EPOCH + 4 },
    ).connections.length,
    1,
  );
  assert.deepEqual(readHistory({ directory: "/nowhere", uid: 0 }), { connections: [], more: 0 });
});
