import assert from "node:assert/strict";
import { test } from "node:test";
import { carriedBy } from "./carried.ts";

const subflows = [
  { bytesSent: 150, bytesRetransmitted: 50, bytesReceived: 10 },
  { bytesSent: 30, bytesRetransmitted: 0, bytesReceived: 5 },
];

test("what a connection has carried is the kernel's count, or what its subflows have, repetitions left out", () => {
  assert.deepEqual(carriedBy({ bytesSent: 500, bytesReceived: 0, subflows }), { sent: 500, received: 0, exact: true });
  const unknown = { bytesSent: undefined, bytesReceived: undefined, subflows };
  assert.deepEqual(carriedBy(unknown), { sent: 130, received: 15, exact: false });
});
