import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type CAPTURED, captured } from "../../../test/captured/linux-6.18.ts";
import type { MptcpPm, NewSubflow, Request, Rtnl } from "../../netlink/index.ts";
import { MPTCP_EVENT } from "../../types/index.ts";
import { GENL_HEADER, walk } from "../../wire/index.ts";
import { MADE_UP, rehearse, warmUp } from "./warm-up.ts";

/** Refuses everything: the kernel is not to be spoken to. */
function untouchable<T extends object>(name: string, allowed: Partial<T> = {}): T {
  return new Proxy(allowed, {
    get: (target, key) => Reflect.get(target, key) ?? assert.fail(`${name}.${String(key)} is asked for`),
  }) as T;
}

/** The subflows that are asked for, and how many of those requests were encoded. */
function watched(): { pm: MptcpPm; rtnl: Rtnl; asked: NewSubflow[]; lost: Map<string, number>; written: () => number } {
  const asked: NewSubflow[] = [];
  const lost = new Map<string, number>();
  let written = 0;
  const counts = (operation: string) => (): Request => {
    lost.set(operation, (lost.get(operation) ?? 0) + 1);
    return { operation, type: 0, write: () => void written++ };
  };
  const createSubflowRequest = (subflow: NewSubflow): Request => {
    asked.push(subflow);
    return { operation: "create", type: 0, write: () => void written++ };
  };
  const pm = untouchable<MptcpPm>("MptcpPm", {
    createSubflowRequest,
    removeRequest: counts("remove"),
    destroySubflowRequest: counts("destroy"),
    setBackupRequest: counts("backup"),
  });
  return { pm, rtnl: untouchable<Rtnl>("Rtnl"), asked, lost, written: () => written };
}

/** Timers set and not cleared. */
function timersLeft(context: TestContext): () => number {
  const timers = new Set<unknown>();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  context.mock.method(globalThis, "setTimeout", (...parameters: Parameters<typeof set>) => {
    const timer = set(...parameters);
    timers.add(timer);
    return timer;
  });
  context.mock.method(globalThis, "clearTimeout", (timer: NodeJS.Timeout) => {
    timers.delete(timer);
    clear(timer);
  });
  context.after(() => {
    for (const timer of timers) clear(timer as NodeJS.Timeout);
  });
  return () => timers.size;
}

for (const policy of ["standard", "resilient"]) {
  test(`warm-up: with ${policy} each made-up connection leads to one encoded subflow, and nothing reaches the kernel`, (context) => {
    const { pm, rtnl, asked, written } = watched();
    const left = timersLeft(context);
    rehearse(pm, rtnl, () => 5, policy, 7);
    assert.equal(asked.length, 7);
    assert.equal(written(), 7);
    for (const { local, remote } of asked) {
      assert.deepEqual([local.address, local.id], ["10.0.2.1", 1]);
      assert.deepEqual(remote, { address: "10.0.1.2", port: 5001, id: 0 });
    }
    assert.equal(left(), 0, "what was to be looked at later is not");
  });
}

test("warm-up: tokens are as large as real ones, and differ", () => {
  const { pm, rtnl, asked } = watched();
  rehearse(pm, rtnl, () => 5, "standard", 1000);
  const tokens = asked.map(({ token }) => token);
  assert.equal(new Set(tokens).size, 1000);
  assert.ok(tokens.every((token) => Number.isInteger(token) && token >= 0 && token < 2 ** 32));
  assert.ok(tokens.filter((token) => token >= 2 ** 31).length > 400, "as many need the 32nd bit as not");
});

test("warm-up: the code is led through for several engines", () => {
  const { pm, rtnl, asked } = watched();
  for (const _step of warmUp(pm, rtnl, () => 5, "standard"));
  const tokens = asked.map(({ token }) => token);
  const lives = new Set(tokens).size;
  assert.ok(lives >= 100, "often enough for the compiler");
  assert.ok(tokens.length >= 2 * lives, "each engine begins anew, with the same connections");
});

test("warm-up: a link is lost for many connections, often enough for the compiler, and no timer is left", (context) => {
  const { pm, rtnl, lost } = watched();
  const left = timersLeft(context);
  for (const _step of warmUp(pm, rtnl, () => 5, "active-backup"));
  const of = (operation: string): number => lost.get(operation) ?? 0;
  assert.ok(of("remove") >= 500, "an address is withdrawn");
  assert.equal(of("destroy"), of("remove"), "with the subflow from there");
  assert.ok(of("backup") >= 2 * of("remove"), "the other one becomes backup first, and carries the data then");
  assert.equal(left(), 0);
});

for (const [type, name] of [
  [MPTCP_EVENT.CREATED, "clientCreated"],
  [MPTCP_EVENT.ESTABLISHED, "clientEstablished"],
  [MPTCP_EVENT.SUB_ESTABLISHED, "clientSubEstablished"],
  [MPTCP_EVENT.CLOSED, "clientClosed"],
] as const satisfies readonly (readonly [number, keyof typeof CAPTURED])[]) {
  test(`warm-up: a made-up event has the attributes of a real one, in its order: ${name}`, () => {
    const madeUp = MADE_UP.get(type) ?? new Uint8Array();
    assert.equal(madeUp[0], type);
    assert.deepEqual(attributesOf(madeUp), attributesOf(captured(name).bytes));
  });
}

function attributesOf(bytes: Uint8Array): [type: number, length: number][] {
  const attributes: [number, number][] = [];
  walk(bytes, GENL_HEADER, bytes.length, (type, from, to) => attributes.push([type, to - from]));
  return attributes;
}
