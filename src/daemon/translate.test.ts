import assert from "node:assert/strict";
import { test } from "node:test";
import { MPTCP_EVENT, type MptcpEvent, parseAddress } from "../types/index.ts";
import { translate, translateBatch } from "./translate.ts";

const NOTHING: MptcpEvent = {
  type: 0,
  token: 1,
  family: undefined,
  localAddress: undefined,
  localPort: undefined,
  remoteAddress: undefined,
  remotePort: undefined,
  localId: undefined,
  remoteId: undefined,
  backup: undefined,
  error: undefined,
  flags: undefined,
  timeout: undefined,
  interfaceIndex: undefined,
  resetReason: undefined,
  resetFlags: undefined,
  serverSide: undefined,
  unknown: [],
};
const address = parseAddress("10.0.0.2");
const event = (type: number, more: Partial<MptcpEvent> = {}): MptcpEvent => ({
  ...NOTHING,
  type,
  remoteAddress: address,
  ...more,
});
const types = (...events: MptcpEvent[]) =>
  translateBatch(events).map((each) => `${each.type} ${"token" in each ? each.token : ""}`);
const { CREATED, ESTABLISHED, ANNOUNCED, CLOSED, LISTENER_CREATED } = MPTCP_EVENT;

test("a creation with its establishment right behind it is not said twice", () => {
  assert.deepEqual(types(event(CREATED), event(ESTABLISHED)), ["connection.established 1"]);
  assert.deepEqual(types(event(CREATED), event(ESTABLISHED, { token: 2 })), [
    "connection.created 1",
    "connection.established 2",
  ]);
  assert.deepEqual(types(event(CREATED)), ["connection.created 1"]);
});

test("an announcement right behind the establishment goes first, to a connection that is known", () => {
  assert.deepEqual(types(event(ESTABLISHED), event(ANNOUNCED)), ["address.announced 1", "connection.established 1"]);
  assert.deepEqual(types(event(CREATED), event(ESTABLISHED), event(ANNOUNCED)), [
    "connection.created 1",
    "address.announced 1",
    "connection.established 1",
  ]);
  assert.deepEqual(types(event(ESTABLISHED), event(ANNOUNCED, { token: 2 })), [
    "connection.established 1",
    "address.announced 2",
  ]);
});

test("either form of the side and of the C flag; listeners and unknown events say nothing to the engine", () => {
  const facts = (more: Partial<MptcpEvent>) => {
    const translated = translate(event(CREATED, more));
    assert.ok(translated?.type === "connection.created");
    return [translated.side, translated.denyJoinId0];
  };
  assert.deepEqual(facts({}), ["client", false]);
  assert.deepEqual(facts({ serverSide: 1 }), ["server", false]);
  assert.deepEqual(facts({ flags: 3 }), ["server", true]);
  assert.equal(translate(event(LISTENER_CREATED)), undefined);
  assert.equal(translate(event(99)), undefined);
  assert.deepEqual(types(event(99), event(CLOSED)), ["connection.closed 1"]);
});
