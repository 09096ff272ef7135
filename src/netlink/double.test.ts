import assert from "node:assert/strict";
import { test } from "node:test";
import { CAPTURED } from "../../test/captured/linux-6.18.ts";
import { endpointPayload, NetlinkDouble } from "../../test/fixtures/netlink-double.ts";
import { type Address, ENDPOINT_FLAG, ERRNO, MPTCP_EVENT, type MptcpEvent } from "../types/index.ts";
import { NLM_F, PM_COMMAND } from "../wire/index.ts";
import { MptcpPm, NetlinkError, UnsupportedError } from "./index.ts";

const one = "10.0.1.1" as Address;
const two = "2001:db8::2" as Address;
const captured = (name: keyof typeof CAPTURED): Uint8Array => Uint8Array.from(Buffer.from(CAPTURED[name], "hex"));

test("a table of endpoints and limits, over a socket that is closed again", () => {
  using double = new NetlinkDouble();
  {
    using pm = MptcpPm.open();
    pm.addEndpoint({ address: one, flags: ENDPOINT_FLAG.subflow, interfaceIndex: 3 });
    pm.addEndpoint({ address: two, flags: ENDPOINT_FLAG.signal, id: 9, port: 443 });
    assert.deepEqual(pm.endpoints(), [
      { id: 1, address: one, port: 0, flags: 2, interfaceIndex: 3 },
      { id: 9, address: two, port: 443, flags: 1, interfaceIndex: 0 },
    ]);
    assert.deepEqual(pm.endpoint(9).address, two);
    pm.setLimits({ subflows: 5 });
    assert.deepEqual(pm.limits(), { subflows: 5, addAddrAccepted: 0 });
    assert.equal(double.open, 1);
  }
  assert.equal(double.open, 0);
});

test("a refusal carries the errno and the kernel's own words", () => {
  using _double = new NetlinkDouble();
  using pm = MptcpPm.open();
  assert.throws(
    () => pm.deleteEndpoint({ id: 7 }),
    (error) => error instanceof NetlinkError && error.errno === 22 && error.kernelMessage === "address not found",
  );
  pm.addEndpoint({ address: one, flags: 2 });
  assert.throws(() => pm.addEndpoint({ address: one, flags: 2 }), { errno: ERRNO.EEXIST });
});

test("several requests go out in one send, and one that is refused does not stop the others", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const before = double.sends.length;
  const errors = pm.client.executeAll([
    pm.addEndpointRequest({ address: one, flags: 2 }),
    pm.deleteEndpointRequest({ id: 200 }),
    pm.addEndpointRequest({ address: two, flags: 2 }),
  ]);
  assert.deepEqual(
    errors.map((error) => error?.errno),
    [undefined, ERRNO.EINVAL, undefined],
  );
  assert.equal(double.sends.length, before + 1);
  assert.deepEqual(
    double.sends.at(-1)!.map(({ payload }) => payload[0]),
    [PM_COMMAND.ADD_ADDR, PM_COMMAND.DEL_ADDR, PM_COMMAND.ADD_ADDR],
  );
});

test("more requests than one send may have are split, and each gets its own answer", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const requests = Array.from({ length: 600 }, (_, index) =>
    index % 7 === 0 ? pm.deleteEndpointRequest({ id: 255 }) : pm.setLimitsRequest({ subflows: index }),
  );
  const errors = pm.client.executeAll(requests);
  assert.deepEqual(
    errors.flatMap((error, index) => (error ? [index] : [])),
    requests.flatMap((_, index) => (index % 7 === 0 ? [index] : [])),
  );
  assert.deepEqual(
    double.sends.slice(-3).map((sent) => sent.length),
    [256, 256, 88],
  );
});

test("no answer is an error in time, and one that comes too late is nobody else's", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  double.answer = () => "silence";
  assert.throws(() => pm.limits(), { errno: ERRNO.ETIMEDOUT });
  double.answer = undefined;
  double.late(2);
  assert.deepEqual(pm.limits(), { subflows: 2, addAddrAccepted: 0 });
});

test("a dump that a change interrupted is read again, and taken as it is when that does not end", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const entry = { id: 1, address: one, port: 0, flags: 2, interfaceIndex: 0 };
  let dumps = 0;
  const interrupted = { payloads: [endpointPayload(entry)], flags: NLM_F.MULTI | NLM_F.DUMP_INTR };
  double.answer = ({ payload }) => (payload[0] === PM_COMMAND.GET_ADDR && ++dumps < 3 ? interrupted : undefined);
  assert.deepEqual(pm.endpoints(), []);
  assert.equal(dumps, 3);
  double.answer = () => interrupted;
  assert.deepEqual(pm.endpoints(), [entry]);
});

test("a kernel without MPTCP, and sockets that fail, are told and leave nothing open", () => {
  using double = new NetlinkDouble();
  double.answer = () => ({ errno: ERRNO.ENOENT });
  assert.throws(() => MptcpPm.open(), UnsupportedError);
  double.answer = undefined;
  double.failing.set("openNetlink", ERRNO.EMFILE);
  assert.throws(() => MptcpPm.open(), { code: "NETNS" });
  assert.equal(double.open, 0);
  using pm = MptcpPm.open();
  for (const verb of ["joinGroup", "watch"] as const) {
    double.failing.set(verb, ERRNO.EPERM);
    assert.throws(
      () =>
        pm.watch(
          () => {},
          () => {},
        ),
      { operation: "subscribe", errno: ERRNO.EPERM },
    );
    assert.equal(double.open, 1, verb);
  }
  double.failing.set("transact", ERRNO.ENOMEM);
  assert.throws(() => pm.limits(), { errno: ERRNO.ENOMEM });
  assert.deepEqual(pm.limits(), { subflows: 2, addAddrAccepted: 0 });
});

test("events come decoded and in order, batch by batch; what was lost or cut is told as an overrun", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const seen: (MptcpEvent["type"] | string)[] = [];
  const watch = pm.watch(
    ({ type }) => seen.push(type),
    () => seen.push("overrun"),
    () => seen.push("end"),
  );
  double.multicast(captured("clientCreated"), captured("clientEstablished"));
  double.overrun();
  double.multicast(captured("clientAnnounced"));
  double.multicast(new Uint8Array(9000));
  watch.close();
  double.multicast(captured("clientCreated"));
  assert.deepEqual(seen, [
    MPTCP_EVENT.CREATED,
    MPTCP_EVENT.ESTABLISHED,
    "end",
    "overrun",
    MPTCP_EVENT.ANNOUNCED,
    "end",
    "overrun",
  ]);
  assert.equal(double.open, 1);
});
