import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PENDING_MAX, Ring, segmentsIn } from "./ring.ts";

const PIECE = 256 * 1024;

test("what a slow disk has not taken is bounded: the rest is refused at once, and what was taken is whole", async (context) => {
  const parent = mkdtempSync(join(tmpdir(), "subflow-ring-"));
  context.after(() => rmSync(parent, { recursive: true }));
  const ring = new Ring(join(parent, "black-box"), 100 * PENDING_MAX);
  ring.begin();
  let taken = 0;
  // Nothing is written before this turn ends: to a disk that does not answer it looks the same.
  for (let piece = 0; piece < 2 * (PENDING_MAX / PIECE); piece++)
    if (ring.write(new Uint8Array(PIECE).fill(piece))) taken++;
  assert.equal(taken, PENDING_MAX / PIECE);
  assert.equal(ring.pending, PENDING_MAX);
  await ring.settled();
  assert.equal(ring.pending, 0);
  assert.ok(ring.write(new Uint8Array(1)));
  ring.end(new Uint8Array([7, 8]));
  await ring.settled();
  const [file = ""] = segmentsIn(ring.directory);
  const bytes = readFileSync(file);
  assert.equal(bytes.length, PENDING_MAX + 3);
  for (let piece = 0; piece < taken; piece++) assert.equal(bytes[piece * PIECE], piece);
  assert.deepEqual([...bytes.subarray(-3)], [0, 7, 8]);
  assert.equal(ring.trouble, undefined);
});
