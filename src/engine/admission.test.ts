import assert from "node:assert/strict";
import { test } from "node:test";
import { end, established, types } from "../../test/fixtures/engine.ts";
import { policies } from "../policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Prefix, parsePrefix } from "../types/index.ts";
import type { RemoteAddressRules } from "./admission.ts";
import { Engine } from "./engine.ts";

const OUTSIDE = "203.0.113.5";
const INSIDE = "192.168.1.5";
const OWN = ["192.168.1.2", "198.51.100.2", "2001:db8::2"] as Address[];

const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text) as Prefix);

/** A client of a server with this address, that connects to whatever is announced. */
function clientOf(server: string, remoteAddresses?: RemoteAddressRules) {
  const engine = new Engine({ policies });
  engine.handle({ type: "host.addresses", addresses: OWN }, 0);
  engine.handle(
    {
      type: "config.changed",
      endpoints: OWN.map((address) => ({ address, flags: ENDPOINT_FLAG.laminar })),
      limits: { subflows: 8, addAddrAccepted: 8 },
      remoteAddresses,
    },
    0,
  );
  const local = server.includes(":") ? "2001:db8::1" : "192.168.1.1";
  engine.handle(established(1, { local: end(local, 40_000), remote: end(server, 443) }), 0);
  let id = 0;
  /** @returns whether it was connected to, at once */
  const isReached = (address: string, now = 1000): boolean => {
    const event = {
      type: "address.announced",
      token: 1,
      remoteId: ++id,
      address: address as Address,
      port: 443,
    } as const;
    return types(engine.handle(event, now)).includes("subflow.create");
  };
  return { engine, isReached };
}

for (const address of [
  ...["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"],
  ...["::", "::1", "ff02::1", "fe80::1", "::ffff:127.0.0.1", ...OWN],
]) {
  test(`admission: ${address} is never connected to, whoever announces it`, () => {
    const everything = { allow: prefixes("0.0.0.0/0", "::/0"), deny: [] };
    for (const server of [OUTSIDE, INSIDE, "2001:db8:1::5"]) {
      assert.ok(!clientOf(server, everything).isReached(address), `announced by ${server}`);
    }
  });
}

test("admission: an inner network is for those who are inside", () => {
  for (const address of ["10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.7.7", "100.64.0.1", "169.254.1.1"]) {
    assert.ok(!clientOf(OUTSIDE).isReached(address), `${address} from outside`);
    assert.ok(clientOf(INSIDE).isReached(address), `${address} from inside`);
    assert.ok(clientOf(OUTSIDE, { allow: prefixes(`${address}/16`), deny: [] }).isReached(address), "allowed");
  }
  assert.ok(!clientOf("2001:db8:1::5").isReached("fd00::9"));
  for (const address of ["198.51.100.9", "172.32.0.1", "100.128.0.1", "11.0.0.1"])
    assert.ok(clientOf(OUTSIDE).isReached(address), `${address} is outside`);
});

test("admission: deny wins over allow", () => {
  const rules = { allow: prefixes("10.0.0.0/8"), deny: prefixes("10.1.0.0/16", "198.51.100.0/24") };
  assert.ok(clientOf(OUTSIDE, rules).isReached("10.2.0.1"));
  for (const address of ["10.1.0.1", "198.51.100.9"]) assert.ok(!clientOf(OUTSIDE, rules).isReached(address));
});

test("admission: `why` says why", () => {
  const { engine, isReached } = clientOf(OUTSIDE);
  isReached("10.1.2.3");
  const left = engine.why(1, 0)?.leftOut.find(({ address }) => address === "10.1.2.3");
  assert.match(left?.reason ?? "", /inner network.*outside/);
  assert.match(left?.remedy ?? "", /remote_addresses/);
});

test("admission: ever new addresses are looked at 16 at once, then 4 a second", () => {
  const { engine } = clientOf(OUTSIDE, { allow: [], deny: [] });
  const limits = { type: "limits.set", subflows: 8, addAddrAccepted: 8 } as const;
  engine.handle({ type: "command.received", request: 1, command: limits }, 0);
  let asked = 0;
  for (let second = 0; second < 10; second++) {
    for (let nth = 0; nth < 1000; nth++) {
      const address = `198.51.${nth >> 8}.${nth & 255}` as Address;
      engine.handle({ type: "address.announced", token: 1, remoteId: 7, address, port: 443 }, second * 1000);
      if (engine.connection(1)?.remotes.find(({ id }) => id === 7)?.state !== "refused") asked++;
    }
  }
  assert.equal(asked, 16 + 9 * 4);
});
