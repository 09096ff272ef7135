import assert from "node:assert/strict";
import { test } from "node:test";
import { address, CONFIG, FACTS, link, NOTHING, route } from "../../test/fixtures/host-facts.ts";
import { ENDPOINT_FLAG } from "../types/index.ts";
import * as host from "./index.ts";

const planned = (kernelPolicy: host.KernelPolicy, config: Partial<host.HostConfig> = {}, facts = FACTS) => {
  const { endpoints, limits } = host.planHost(facts, { ...CONFIG, kernelPolicy, ...config }, NOTHING);
  return [...endpoints.map(({ address: a, flags }) => `${a} ${host.flagWords(flags)}`), limits?.addAddrAccepted ?? -1];
};

test("kernel policy: fullmesh is said of every endpoint", () => {
  assert.deepEqual(planned("fullmesh"), ["10.0.1.1 subflow fullmesh", "10.0.2.1 subflow fullmesh", 7]);
});

test("kernel policy: active-backup has one endpoint of each family that is no backup, the best", () => {
  assert.deepEqual(planned("active-backup"), ["10.0.1.1 subflow laminar", "10.0.2.1 subflow backup fullmesh", 7]);
  const metrics = { ...FACTS, routes: [route(2, "10.0.1.254", 300), route(3, "10.0.2.254", 100)] };
  assert.deepEqual(planned("active-backup", {}, metrics), [
    "10.0.2.1 subflow laminar",
    "10.0.1.1 subflow backup fullmesh",
    7,
  ]);
  const dear: host.InterfaceRule = {
    match: { name: "wlan0" },
    role: "subflow",
    alsoWithoutDefaultRoute: false,
    cost: 2,
  };
  assert.deepEqual(planned("active-backup", { interfaces: [dear] }).slice(0, 2), [
    "10.0.2.1 subflow laminar",
    "10.0.1.1 subflow backup fullmesh",
  ]);
  const spare: host.InterfaceRule = { match: { name: "wlan0" }, role: "backup", alsoWithoutDefaultRoute: false };
  assert.deepEqual(planned("active-backup", { interfaces: [spare] }).slice(0, 2), [
    "10.0.2.1 subflow laminar",
    "10.0.1.1 subflow backup fullmesh",
  ]);
});

test("kernel policy: active-backup, whose best link is gone, carries by the next", () => {
  const links = FACTS.links.map((each) => (each.name === "wlan0" ? link(2, "wlan0", { carrier: false }) : each));
  const [first] = planned("active-backup", {}, { ...FACTS, links });
  assert.doesNotMatch(String(first), /backup/);
  assert.match(String(first), /^10\.0\.2\.1 /);
});

test("kernel policy: announce-only opens nothing, none has no endpoint but those that are named", () => {
  assert.deepEqual(planned("announce-only"), ["10.0.1.1 signal", "10.0.2.1 signal", 0]);
  assert.deepEqual(planned("none"), [0]);
  const { leftOut } = host.planHost(FACTS, { ...CONFIG, kernelPolicy: "none" }, NOTHING);
  assert.match(
    leftOut.map(({ what, reason }) => `${what}: ${reason}`).join("\n"),
    /^10\.0\.1\.1 dev wlan0: policy none/m,
  );
  const named = { ...{ address: address(3, "10.0.2.1").address, port: 0, id: 0, dev: undefined } };
  const endpoints = [{ ...named, flags: ENDPOINT_FLAG.subflow }];
  assert.deepEqual(planned("none", { endpoints }).slice(0, -1), ["10.0.2.1 subflow"]);
});
