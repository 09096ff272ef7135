import assert from "node:assert/strict";
import { test } from "node:test";
import { NetlinkDouble } from "../../test/fixtures/netlink-double.ts";
import type { Action } from "../engine/index.ts";
import { MptcpPm, type Rtnl } from "../netlink/index.ts";
import { type Address, ERRNO, type Path } from "../types/index.ts";
import { PM_COMMAND } from "../wire/index.ts";
import { KernelEndpoints } from "./host/endpoint-port.ts";
import { KernelPort } from "./kernel-port.ts";
import type { PortListeners } from "./listeners.ts";

const token = 0xabc;
const at = (text: string, port: number) => ({ address: text as Address, port });
const path: Path = { local: at("10.0.2.1", 4000), remote: at("10.0.9.1", 443) };
const remove: Action = { type: "address.remove", id: 1, token, localId: 3 };
const destroy: Action = { type: "subflow.destroy", id: 2, token, path };

function portOf(pm: MptcpPm, opened: string[] = []): KernelPort {
  return new KernelPort({
    pm,
    rtnl: { routeTo: () => undefined } as unknown as Rtnl,
    listeners: { open: ({ address }: Path["local"]) => opened.push(address) * 0 } as unknown as PortListeners,
    execute: (requests) => pm.client.executeAll(requests),
    onAnswer: () => {},
    onAsk: () => undefined,
    onOwner: () => undefined,
    onReport: () => {},
  });
}

test("what belongs together goes out in one send, in order, and each action gets its own outcome", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  double.answer = ({ payload }) =>
    payload[0] === PM_COMMAND.SUBFLOW_DESTROY ? { errno: ERRNO.ESRCH, message: "subflow not found" } : undefined;
  const before = double.sends.length;
  const outcomes = portOf(pm).run([remove, destroy]);
  assert.equal(double.sends.length, before + 1);
  assert.deepEqual(
    double.sends.at(-1)!.map(({ payload }) => payload[0]),
    [PM_COMMAND.REMOVE, PM_COMMAND.SUBFLOW_DESTROY],
  );
  assert.deepEqual(outcomes, [
    { type: "action.done", action: remove },
    { type: "action.failed", action: destroy, errno: ERRNO.ESRCH, message: "subflow not found" },
  ]);
});

test("what is no netlink command stands between two sends, as it stands between the actions", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const opened: string[] = [];
  const before = double.sends.length;
  const open: Action = { type: "listener.open", id: 3, local: at("10.0.2.1", 5000) };
  const outcomes = portOf(pm, opened).run([remove, open, destroy]);
  assert.equal(double.sends.length, before + 2);
  assert.deepEqual(opened, ["10.0.2.1"]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.type === "action.done" && outcome.action),
    [remove, open, destroy],
  );
});

test("a socket that fails is the failure of every action that was on it, and of no other", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  double.failing.set("transact", ERRNO.ENOMEM);
  const port = portOf(pm);
  const failed = (action: Action) => ({ type: "action.failed", action, errno: ERRNO.ENOMEM });
  const outcomes = port.run([remove, destroy]).map((outcome) => ({ ...outcome, message: undefined }));
  assert.deepEqual(
    outcomes,
    [remove, destroy].map((action) => ({ ...failed(action), message: undefined })),
  );
  assert.deepEqual(port.run([remove]), [{ type: "action.done", action: remove }]);
});

test("the kernel's table gives refusals as values", () => {
  using double = new NetlinkDouble();
  using pm = MptcpPm.open();
  const table = new KernelEndpoints(pm);
  const endpoint = { address: "10.0.2.1" as Address, flags: 2 };
  assert.equal(table.add(endpoint), undefined);
  assert.equal(table.add(endpoint)?.errno, ERRNO.EEXIST);
  assert.deepEqual(table.remove({ id: 77 }), { errno: ERRNO.EINVAL, message: "address not found" });
  assert.equal(table.setLimits({ subflows: 4, addAddrAccepted: 1 }), undefined);
  assert.deepEqual(table.limits(), { subflows: 4, addAddrAccepted: 1 });
  assert.equal(double.endpoints.length, 1);
});
