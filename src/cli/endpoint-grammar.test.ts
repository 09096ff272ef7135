import assert from "node:assert/strict";
import { test } from "node:test";
import { type EndpointVerb, flagNames, parseEndpointWords } from "./endpoint-grammar.ts";
import { CommandError } from "./failure.ts";

const index = (name: string): number | undefined => (name === "eth0" ? 2 : undefined);
const parse = (verb: EndpointVerb, text: string) =>
  parseEndpointWords(
    verb,
    text.split(" ").filter((word) => word !== ""),
    index,
  );

const nothing = { address: undefined, id: undefined, port: undefined, flags: 0, interfaceIndex: undefined };

for (const [verb, text, expected] of [
  ["add", "10.0.0.1", { address: "10.0.0.1" }],
  ["add", "10.0.0.1 dev eth0 id 3 subflow backup", { address: "10.0.0.1", id: 3, flags: 6, interfaceIndex: 2 }],
  ["add", "d eth0 i 3 su 10.0.0.1", "any valid address is expected"],
  ["add", "signal p 80 10.0.0.1", { address: "10.0.0.1", port: 80, flags: 1 }],
  ["add", "10.0.0.1 10.0.0.2", { address: "10.0.0.2" }],
  ["add", "10.0.0.1 laminar", { address: "10.0.0.1", flags: 32 }],
  ["change", "id 3 backup nofullmesh", { id: 3, flags: 4 }],
  ["change", "id 3 nobackup", { id: 3 }],
  ["delete", "id 0 10.0.0.1", { id: 0, address: "10.0.0.1" }],
  ["show", "", {}],
  ["show", "id 7", { id: 7 }],
] as const) {
  test(`endpoint ${verb} ${text}`, () => {
    if (typeof expected === "string") assert.throws(() => parse(verb, text), { message: new RegExp(expected) });
    else assert.deepEqual(parse(verb, text), { ...nothing, ...expected });
  });
}

for (const [verb, text, exitStatus, message] of [
  ["add", "", 255, /"ADDRESS" is required/],
  ["add", "10.0.0.1 id 0", 255, /"ID" is wrong: cannot be 0/],
  ["add", "10.0.0.1 id 256", 255, /invalid ID/],
  ["add", "10.0.0.1 id", 255, /not complete/],
  ["add", "10.0.0.1 dev nosuch", 255, /device does not exist/],
  ["add", "10.0.0.1 dev ..", 255, /invalid interface name/],
  ["add", "10.0.0.1 port 80", 255, /must have signal when using port/],
  ["add", "10.0.0.1 signal fullmesh", 255, /both signal and fullmesh/],
  ["add", "10.0.0.1 constructor", 1, /any valid address/],
  ["add", "10.0.0.1 signal subflow port 80", 2, /signal and not subflow/],
  ["add", "10.0.0.1 implicit", 2, /IMPLICIT/],
  ["add", "any", 2, /one address/],
  ["change", "id 3 signal", 255, /backup and fullmesh only/],
  ["change", "id 3 port 80 backup", 255, /port can't be used with id/],
  ["delete", "10.0.0.1", 255, /"ID" is required/],
  ["delete", "id 3 10.0.0.1", 255, /non-zero id/],
  ["delete", "id 0", 255, /address is needed/],
  ["show", "id 0", 255, /cannot be 0/],
] as const) {
  test(`endpoint ${verb} ${text}: ${message.source}, status ${exitStatus}`, () => {
    assert.throws(
      () => parse(verb, text),
      (error) => error instanceof CommandError && error.exitStatus === exitStatus && message.test(error.message),
    );
  });
}

test("flags are named in the order of the manual page, and unknown bits are kept", () => {
  assert.deepEqual(flagNames(0x3f).names, ["signal", "subflow", "backup", "fullmesh", "implicit", "laminar"]);
  assert.deepEqual(flagNames(0x80000042), { names: ["subflow"], unknown: 0x80000040 });
});
