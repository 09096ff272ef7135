import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { functionId } from "./btf.ts";
import { ruleName, ruleOf, type SocketRule, socketProgram } from "./socket-rule.ts";

interface Caller {
  readonly uid: number;
  /** Its cgroup and those above it, by level. */
  readonly cgroups: readonly bigint[];
}

/** What the kernel would make of the program: the instructions that it has, as the kernel's documentation says them. */
function run(code: Buffer, words: readonly bigint[], { uid, cgroups }: Caller): bigint {
  const registers: bigint[] = Array(11).fill(0n);
  const low = (value: bigint): bigint => BigInt.asUintN(32, value);
  for (let at = 0; ; at++) {
    const [op, both] = [code[at * 8]!, code[at * 8 + 1]!];
    const [target, source] = [both & 15, both >> 4];
    const offset = code.readInt16LE(at * 8 + 2);
    const immediate = BigInt(code.readInt32LE(at * 8 + 4));
    if (op === 0xbf) registers[target] = registers[source]!;
    else if (op === 0xb7) registers[target] = immediate;
    else if (op === 0x54) registers[target] = low(registers[target]!) & low(immediate);
    else if (op === 0x79) registers[target] = words[offset / 8] ?? assert.fail("beyond the context");
    else if (op === 0x18) registers[target] = low(immediate) | (BigInt(code.readUInt32LE(++at * 8 + 4)) << 32n);
    else if (op === 0x16) at += low(registers[target]!) === low(immediate) ? offset : 0;
    else if (op === 0x56) at += low(registers[target]!) === low(immediate) ? 0 : offset;
    else if (op === 0x5d) at += registers[target] === registers[source] ? 0 : offset;
    else if (op === 0x85 && immediate === 15n) registers[0] = (1234n << 32n) | BigInt(uid);
    else if (op === 0x85 && immediate === 123n) registers[0] = cgroups[Number(registers[1])] ?? 0n;
    else if (op === 0x95) return registers[0]!;
    else assert.fail(`opcode ${op}`);
  }
}

const TCP = [
  [2, 1, 0],
  [2, 1, 6],
  [10, 1, 0],
  [10, 1 | 0o2000000 | 0o4000, 6],
];
const OTHERS = [
  [2, 2, 0],
  [2, 2, 17],
  [10, 3, 58],
  [1, 1, 0],
  [16, 3, 0],
  [2, 1, 132],
  [2, 1, 262],
  [2, 5, 0],
  [0x1_0002, 1, 0],
];
const caller = { uid: 1000, cgroups: [1n, 20n, 0x1_0000_0003n] };
/** The fourth word is the value so far. */
const asked = (words: readonly number[]): bigint[] => [...words, 0].map(BigInt);

describe("what a rule answers to a request for a socket", () => {
  for (const [rule, fits] of [
    [{ kind: "all" }, true],
    [{ kind: "user", uid: 1000 }, true],
    [{ kind: "user", uid: 0 }, false],
    [{ kind: "user", uid: 0xffff_fffe }, false],
    [{ kind: "cgroup", level: 1, id: 20n }, true],
    [{ kind: "cgroup", level: 2, id: 0x1_0000_0003n }, true],
    [{ kind: "cgroup", level: 2, id: 3n }, false],
    [{ kind: "cgroup", level: 2, id: 20n }, false],
    [{ kind: "cgroup", level: 5, id: 20n }, false],
  ] as [SocketRule, boolean][]) {
    test(ruleName(rule), () => {
      const code = socketProgram(rule);
      for (const words of TCP) assert.equal(run(code, asked(words), caller), fits ? 262n : 0n, `${words}`);
      for (const words of OTHERS) assert.equal(run(code, asked(words), caller), 0n, `${words}`);
    });
  }

  test("a rule and its name stand for one another, and hold no dot", () => {
    const anyRule = fc.oneof(
      fc.constant<SocketRule>({ kind: "all" }),
      fc.record({ kind: fc.constant("user" as const), uid: fc.nat(0xffff_fffe) }),
      fc.record({
        kind: fc.constant("cgroup" as const),
        level: fc.nat(64),
        id: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      }),
    );
    fc.assert(
      fc.property(anyRule, (rule) => {
        assert.deepEqual(ruleOf(ruleName(rule)), { ...rule });
        assert.ok(!ruleName(rule).includes("."));
      }),
    );
    for (const name of ["", "user-", "user-x", "cgroup-1", "other"]) assert.equal(ruleOf(name), undefined);
  });
});

describe("types of a kernel", () => {
  /** INT, FUNC_PROTO with two parameters, STRUCT with one member, FUNC "hook". */
  function btf(): Buffer {
    const type = (name: number, kind: number, count: number, extra: number): Buffer => {
      const bytes = Buffer.alloc(12 + extra);
      bytes.writeUInt32LE(name, 0);
      bytes.writeUInt32LE((kind << 24) | count, 4);
      return bytes;
    };
    const strings = Buffer.from("\0int\0hook\0hooked\0");
    const types = Buffer.concat([
      type(1, 1, 0, 4),
      type(0, 13, 2, 16),
      type(0, 4, 1, 12),
      type(10, 12, 0, 0),
      type(5, 12, 1, 0),
    ]);
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    [24, 0, types.length, types.length, strings.length].forEach((value, index) => {
      header.writeUInt32LE(value, 4 + 4 * index);
    });
    return Buffer.concat([header, types, strings]);
  }

  test("a function is found by its name, behind types of every length", () => {
    assert.equal(functionId(btf(), "hook"), 5);
    assert.equal(functionId(btf(), "hooked"), 4);
    assert.equal(functionId(btf(), "int"), undefined, "it is no function");
    assert.equal(functionId(btf(), "none"), undefined);
  });

  test("what is cut or no BTF is none", () => {
    for (let length = 0; length < btf().length; length++) functionId(btf().subarray(0, length), "hook");
    assert.equal(functionId(Buffer.from("no BTF at all, but long enough"), "hook"), undefined);
  });

  test("of this kernel, where it tells", (context) => {
    const file = "/sys/kernel/btf/vmlinux";
    if (!existsSync(file)) return context.skip("this kernel does not tell its types");
    assert.ok((functionId(readFileSync(file), "tcp_v4_connect") ?? 0) > 0);
  });
});
