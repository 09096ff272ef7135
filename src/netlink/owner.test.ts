import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRNO } from "../types/index.ts";
import type { DiagSocket, MptcpInfo } from "../wire/index.ts";
import { type AddressLister, ownerOf } from "./connections.ts";
import { NetlinkError } from "./errors.ts";

const SOCKET = { state: "established" } as DiagSocket;
/** As Linux 6.1 fills it, whoever has the connection: the limits of the namespace, and no count of subflows. */
const OLD = {
  token: 7,
  limitSubflows: 2,
  limitAddAddrAccepted: 0,
  endpointsSignal: 0,
  endpointsSubflow: 0,
} as MptcpInfo;
const NEW = { ...OLD, limitSubflows: 0, subflowsTotal: 1 };

const refused = (kernelMessage: string) => () => {
  throw new NetlinkError("ask", { errno: ERRNO.EINVAL, kernelMessage });
};
const never = () => assert.fail("not to be asked");
const older = (message: string): AddressLister => ({
  looksAtTokens: false,
  localAddresses: never,
  askRefused: refused(message),
});

test("an older kernel fills limits for every connection: a refusal tells whose it is", () => {
  const owner = (message: string) => ownerOf(older(message), SOCKET, OLD).pathManager;
  assert.equal(owner("invalid request; userspace PM not selected"), "kernel");
  assert.equal(owner("invalid addr id or flags"), "userspace");
  assert.equal(owner("invalid token"), undefined);
  assert.equal(ownerOf({ ...older(""), askRefused: () => undefined }, SOCKET, OLD).pathManager, undefined);
});

test("a newer kernel fills limits for its own only, and lists the addresses of the others", () => {
  const lists: AddressLister = { looksAtTokens: true, localAddresses: () => [], askRefused: never };
  assert.deepEqual(ownerOf(lists, SOCKET, NEW), { pathManager: "userspace", localAddresses: [] });
  assert.equal(
    ownerOf({ ...lists, localAddresses: never }, SOCKET, { ...NEW, limitSubflows: 2 }).pathManager,
    "kernel",
  );
  const asked = { ...lists, localAddresses: refused("userspace PM not selected") };
  assert.equal(ownerOf(asked, SOCKET, NEW).pathManager, "kernel");
});
