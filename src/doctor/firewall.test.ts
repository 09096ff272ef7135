import assert from "node:assert/strict";
import { test } from "node:test";
import { readIptables, readNftables } from "./index.ts";

const rule = (...expr: object[]) => ({ rule: { family: "inet", table: "filter", chain: "input", handle: 7, expr } });
const option = { "tcp option": { name: "mptcp" } };
const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
const state = { ct: { key: "state" } };

test("nftables: rules as `nft -j list ruleset` of nftables 1.0 prints them", () => {
  for (const [expressions, kind] of [
    [[match(option, true), { drop: null }], "option"],
    [[match(option, true), { reject: { type: "tcp reset" } }], "option"],
    [[match({ "tcp option": { base: 30, offset: 0, len: 8 } }, 1), { drop: null }], "option"],
    [[{ reset: option }], "strip"],
    [[match(state, "invalid", "in"), { counter: { packets: 0, bytes: 0 } }, { drop: null }], "invalid"],
    [[match(state, { set: ["invalid", "untracked"] }, "in"), { drop: null }], "invalid"],
    [[match(option, false), { drop: null }], undefined],
    [[match(option, true), { accept: null }], undefined],
    [[match(option, true), { counter: { packets: 0, bytes: 0 } }], undefined],
    [[match(state, "invalid", "!="), { drop: null }], undefined],
    [[match({ "tcp option": { name: "maxseg" } }, 1), { drop: null }], undefined],
  ] as const) {
    const found = readNftables(JSON.stringify({ nftables: [{ metainfo: {} }, rule(...expressions)] }));
    assert.deepEqual(
      found.map((suspect) => [suspect.kind, suspect.remove]),
      kind ? [[kind, "nft delete rule inet filter input handle 7"]] : [],
      JSON.stringify(expressions),
    );
  }
});

const flags = { payload: { protocol: "tcp", field: "flags" } };
const out = match({ meta: { key: "oifname" } }, "c2");

test("nftables: rules that close an interface to every new subflow, and those that close less", () => {
  for (const [expressions, devices] of [
    [[out, match(flags, "syn", "in"), { drop: null }], ["c2"]],
    [[out, match({ "&": [flags, ["syn", "ack"]] }, "syn"), { reject: { type: "tcp reset" } }], ["c2"]],
    [
      [match({ meta: { key: "iifname" } }, { set: ["c2", "c3"] }), { counter: {} }, { drop: null }],
      ["c2", "c3"],
    ],
    [[out, match({ meta: { key: "l4proto" } }, "tcp"), { drop: null }], ["c2"]],
    [[match(flags, "syn", "in"), { drop: null }], undefined],
    [[out, match(flags, "syn", "in"), { accept: null }], undefined],
    [[out, match(flags, "fin", "in"), { drop: null }], undefined],
    [[out, match({ meta: { key: "l4proto" } }, "udp"), { drop: null }], undefined],
    [[out, match({ payload: { protocol: "tcp", field: "dport" } }, 25), { drop: null }], undefined],
    [[match({ meta: { key: "oifname" } }, "c2", "!="), match(flags, "syn", "in"), { drop: null }], undefined],
  ] as const) {
    const [found] = readNftables(JSON.stringify({ nftables: [rule(...expressions)] }));
    assert.deepEqual(found?.devices, devices, JSON.stringify(expressions));
    assert.equal(found?.kind, devices && "device");
  }
});

test("iptables: the same", () => {
  for (const [line, devices] of [
    ["-A OUTPUT -o c2 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", ["c2"]],
    ["-A INPUT -i wl+ -p tcp -j REJECT --reject-with tcp-reset", ["wl*"]],
    ["-A OUTPUT -o c2 -j DROP", ["c2"]],
    ['-A OUTPUT -o c2 -p tcp -m comment --comment "no tcp" -j DROP', ["c2"]],
    ["-A OUTPUT -o c2 -p udp -j DROP", undefined],
    ["-A OUTPUT -o c2 -p tcp -m tcp --dport 25 -j DROP", undefined],
    ["-A OUTPUT ! -o c2 -p tcp -j DROP", undefined],
    ["-A OUTPUT -d 10.0.0.1/32 -o c2 -p tcp -j DROP", undefined],
  ] as const) {
    const [found] = readIptables(`*filter\n${line}\nCOMMIT\n`, "iptables");
    assert.deepEqual(found?.devices, devices, line);
  }
});

test("iptables: rules as iptables-save prints them", () => {
  for (const [line, kind] of [
    ["-A INPUT -p tcp -m tcp --tcp-option 30 -j DROP", "option"],
    ["-A INPUT -p tcp -m tcp --tcp-option 30 -j REJECT --reject-with tcp-reset", "option"],
    ["-A FORWARD -p tcp -j TCPOPTSTRIP --strip-options 5,30", "strip"],
    ["-A INPUT -m conntrack --ctstate INVALID -j DROP", "invalid"],
    ["-A INPUT -m state --state INVALID,UNTRACKED -j DROP", "invalid"],
    ["-A INPUT -p tcp -m tcp ! --tcp-option 30 -j DROP", undefined],
    ["-A INPUT -m conntrack ! --ctstate INVALID -j DROP", undefined],
    ["-A INPUT -p tcp -m tcp --tcp-option 30 -j ACCEPT", undefined],
    ["-A INPUT -p tcp -m tcp --dport 30 -j DROP", undefined],
    [":INPUT DROP [0:0]", undefined],
  ] as const) {
    const [found] = readIptables(`*mangle\n${line}\nCOMMIT\n`, "iptables");
    assert.equal(found?.kind, kind, line);
    if (found) assert.equal(found.remove, `iptables -t mangle ${line.replace("-A", "-D")}`);
  }
});
