import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMptcpInfo } from "./info.ts";

/** Linux 6.1 sends 48 bytes, the last 5 of them padding; 6.5 began to count. */
const OLD_BYTES = 48;
const COUNTS_TO = 80;

function info(length: number) {
  const bytes = new Uint8Array(96).fill(0xff);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, 0x1_0000_0005n, true);
  view.setBigUint64(56, 1234n, true);
  return decodeMptcpInfo(bytes, 0, length);
}

test("mptcp_info of a kernel that does not count says that it does not, and how far it has received all the same", () => {
  const { retransmits, bytesSent, bytesReceived, bytesAcked, bytesRetransmitted, receivedInOrder } = info(OLD_BYTES);
  assert.deepEqual(
    [retransmits, bytesSent, bytesReceived, bytesAcked, bytesRetransmitted],
    Array.from({ length: 5 }, () => undefined),
  );
  assert.equal(receivedInOrder, 5);
  assert.equal(info(COUNTS_TO).bytesSent, 1234);
  assert.equal(info(COUNTS_TO).subflowsTotal, undefined);
});
