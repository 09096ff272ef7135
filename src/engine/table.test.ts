import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, ENDPOINT_FLAG, ERRNO } from "../types/index.ts";
import { TABLE_BOUNDS } from "./bounds.ts";
import type { EndpointRequest } from "./commands.ts";
import { EndpointTable, type Outcome, type Refusal } from "./table.ts";

const { signal, subflow, backup, fullmesh, implicit, laminar } = ENDPOINT_FLAG;
const address = (text: string): Address => text as Address;
const table = (endpointsMax: number = TABLE_BOUNDS.endpointsMax) => new EndpointTable({ endpointsMax, limitMax: 8 });
const refusal = (outcome: Outcome<unknown>): Refusal | undefined =>
  "refused" in outcome ? outcome.refused : undefined;

function added(into: EndpointTable, ...requests: EndpointRequest[]): number[] {
  return requests.map((request) => {
    const outcome = into.add(request);
    assert.ok("ok" in outcome, JSON.stringify(outcome));
    return outcome.ok.id;
  });
}

// What Linux 6.18 answers to the same requests (mptcp_pm_nl_add_addr_doit).
const REFUSED: readonly [string, EndpointRequest, Refusal][] = [
  [
    "a port without signal",
    { address: address("10.0.0.9"), port: 80, flags: subflow },
    { errno: ERRNO.EINVAL, message: "flags must have signal and not subflow when using port" },
  ],
  [
    "a port with signal and subflow",
    { address: address("10.0.0.9"), port: 80, flags: signal | subflow },
    { errno: ERRNO.EINVAL, message: "flags must have signal and not subflow when using port" },
  ],
  [
    "signal with fullmesh",
    { address: address("10.0.0.9"), flags: signal | fullmesh },
    { errno: ERRNO.EINVAL, message: "flags mustn't have both signal and fullmesh" },
  ],
  [
    "implicit",
    { address: address("10.0.0.9"), flags: implicit },
    { errno: ERRNO.EINVAL, message: "can't create IMPLICIT endpoint" },
  ],
];

for (const [name, request, refused] of REFUSED) {
  test(`table: ${name} is refused`, () => assert.deepEqual(table().check(request), refused));
}

test("table: what is allowed passes the check", () => {
  for (const flags of [0, signal, subflow, subflow | backup, subflow | fullmesh, signal | subflow, laminar | signal]) {
    assert.equal(table().check({ address: address("10.0.0.9"), flags }), undefined);
  }
});

test("table: ids count up from the highest given, wrap at 255 and fill the gaps", () => {
  const t = table(255);
  assert.deepEqual(
    added(t, { address: address("10.0.0.1"), flags: 0 }, { address: address("10.0.0.2"), id: 254, flags: 0 }),
    [1, 254],
  );
  assert.deepEqual(
    added(t, { address: address("10.0.0.3"), flags: 0 }, { address: address("10.0.0.4"), flags: 0 }),
    [255, 2],
  );
});

test("table: 255 endpoints are taken, the 256th is not", () => {
  const t = table(255);
  for (let i = 0; i < 255; i++) added(t, { address: address(`10.0.1.${i}`), flags: 0 });
  const outcome = t.add({ address: address("10.0.2.1"), flags: 0 });
  assert.deepEqual(refusal(outcome), { errno: ERRNO.ERANGE, message: "too many addresses or duplicate one: -34" });
});

test("table: the ninth endpoint of Linux 6.18 is refused, the eighth is not", () => {
  const t = table();
  for (let i = 0; i < 8; i++) added(t, { address: address(`10.0.1.${i}`), flags: 0 });
  assert.equal(refusal(t.add({ address: address("10.0.2.1"), flags: 0 }))?.errno, ERRNO.ERANGE);
});

test("table: a taken id is EBUSY, a known address EEXIST, with another port it is another endpoint", () => {
  const t = table();
  added(t, { address: address("10.0.0.1"), id: 7, flags: signal });
  assert.equal(refusal(t.add({ address: address("10.0.0.2"), id: 7, flags: 0 }))?.errno, ERRNO.EBUSY);
  assert.equal(refusal(t.add({ address: address("10.0.0.1"), flags: 0 }))?.errno, ERRNO.EEXIST);
  assert.equal(refusal(t.add({ address: address("::ffff:10.0.0.1"), flags: 0 }))?.errno, ERRNO.EEXIST);
  added(t, { address: address("10.0.0.1"), port: 80, flags: signal });
});

test("table: an implicit endpoint is replaced, keeping its id, unless an id is asked for", () => {
  const t = table();
  assert.equal(t.implicit(address("10.0.0.1"))?.id, 1);
  assert.equal(t.implicit(address("10.0.0.1"))?.id, 1);
  assert.equal(refusal(t.add({ address: address("10.0.0.1"), id: 5, flags: subflow }))?.errno, ERRNO.EINVAL);
  assert.deepEqual(added(t, { address: address("10.0.0.1"), flags: subflow }), [1]);
  assert.equal(t.byId(1)?.flags, subflow);
});

test("table: endpoints with a port are tried before those without, the newest first", () => {
  const t = table();
  added(
    t,
    { address: address("10.0.0.1"), flags: signal },
    { address: address("10.0.0.2"), port: 80, flags: signal },
    { address: address("10.0.0.3"), flags: signal },
    { address: address("10.0.0.4"), port: 80, flags: signal },
  );
  assert.deepEqual(
    t.list.map((endpoint) => endpoint.id),
    [4, 2, 1, 3],
  );
});

test("table: deletion, flush and what is not there", () => {
  const t = table();
  added(t, { address: address("10.0.0.1"), flags: 0 }, { address: address("10.0.0.2"), flags: 0 });
  assert.deepEqual(refusal(t.delete(9)), { errno: ERRNO.EINVAL, message: "address not found" });
  assert.equal(refusal(t.delete(1)), undefined);
  assert.equal(t.flush().length, 1);
  assert.deepEqual(added(t, { address: address("10.0.0.3"), flags: 0 }), [1]);
});

test("table: change knows backup and fullmesh only", () => {
  const t = table();
  added(t, { address: address("10.0.0.1"), flags: subflow }, { address: address("10.0.0.2"), flags: signal });
  const changed = t.change({ id: 1, flags: backup | fullmesh | signal });
  assert.ok("ok" in changed);
  assert.deepEqual([changed.ok.endpoint.flags, changed.ok.changed], [subflow | backup | fullmesh, backup | fullmesh]);
  assert.deepEqual(refusal(t.change({ id: 2, flags: fullmesh })), {
    errno: ERRNO.EINVAL,
    message: "invalid addr flags",
  });
  assert.deepEqual(refusal(t.change({ flags: 0 })), { errno: ERRNO.EOPNOTSUPP, message: "missing address ID" });
  assert.equal(refusal(t.change({ address: address("10.0.0.7"), flags: 0 }))?.message, "address not found");
  assert.equal(refusal(t.change({ address: address("10.0.0.2"), flags: backup })), undefined);
});

test("table: limits up to 8, both or neither", () => {
  const t = table();
  assert.deepEqual(t.limits, { subflows: 2, addAddrAccepted: 0 });
  assert.equal(t.setLimits({ subflows: 8, addAddrAccepted: 8 }), undefined);
  assert.deepEqual(t.setLimits({ subflows: 1, addAddrAccepted: 9 }), {
    errno: ERRNO.EINVAL,
    message: "limit greater than maximum (8)",
  });
  assert.deepEqual(t.limits, { subflows: 8, addAddrAccepted: 8 });
});
