/** What a rule is about: every program, those of a user, or those in a cgroup and below it. */
export type SocketRule =
  | { readonly kind: "all" }
  | { readonly kind: "user"; readonly uid: number }
  /** `level`: how deep it is; the root is 0. `id`: the inode of its folder. */
  | { readonly kind: "cgroup"; readonly level: number; readonly id: bigint };

/** Numbers of linux/bpf.h. */
const HELPER = { get_current_uid_gid: 15, get_current_ancestor_cgroup_id: 123 } as const;
const [AF_INET, AF_INET6, SOCK_STREAM, IPPROTO_TCP, IPPROTO_MPTCP] = [2, 10, 1, 6, 262];
const SOCK_TYPE_MASK = 0xf;

/** Opcodes (Documentation/bpf/standardization/instruction-set.rst). */
const OP = {
  MOV_REGISTER: 0xbf,
  MOV: 0xb7,
  AND_32: 0x54,
  LOAD_64: 0x79,
  LOAD_IMMEDIATE_64: 0x18,
  CALL: 0x85,
  EXIT: 0x95,
  EQUAL_32: 0x16,
  UNEQUAL_32: 0x56,
  UNEQUAL_REGISTER: 0x5d,
} as const;

type Instruction = readonly [op: number, target: number, source: number, offset: number, immediate: number];
/** A jump to where "no opinion" is returned: its distance is filled in at the end. */
const OUT = Number.NaN;

/**
 * The program that stands in front of `update_socket_protocol(family, type, protocol)` of net/socket.c (Linux 6.6): 262 where TCP is asked for
 * and the rule fits. 0 is no opinion: the next program is asked, and then the function itself, which returns `protocol`.
 */
export function socketProgram(rule: SocketRule): Buffer {
  const code: Instruction[] = [
    [OP.MOV_REGISTER, 6, 1, 0, 0],
    [OP.LOAD_64, 2, 6, 0, 0],
    [OP.EQUAL_32, 2, 0, 1, AF_INET!],
    [OP.UNEQUAL_32, 2, 0, OUT, AF_INET6!],
    [OP.LOAD_64, 2, 6, 8, 0],
    [OP.AND_32, 2, 0, 0, SOCK_TYPE_MASK],
    [OP.UNEQUAL_32, 2, 0, OUT, SOCK_STREAM!],
    [OP.LOAD_64, 2, 6, 16, 0],
    [OP.EQUAL_32, 2, 0, 1, 0],
    [OP.UNEQUAL_32, 2, 0, OUT, IPPROTO_TCP!],
    ...condition(rule),
    [OP.MOV, 0, 0, 0, IPPROTO_MPTCP!],
    [OP.EXIT, 0, 0, 0, 0],
    [OP.MOV, 0, 0, 0, 0],
    [OP.EXIT, 0, 0, 0, 0],
  ];
  const out = code.length - 2;
  const bytes = Buffer.alloc(code.length * 8);
  code.forEach(([op, target, source, offset, immediate], index) => {
    bytes.writeUInt8(op, index * 8);
    bytes.writeUInt8(target | (source << 4), index * 8 + 1);
    bytes.writeInt16LE(Number.isNaN(offset) ? out - index - 1 : offset, index * 8 + 2);
    bytes.writeInt32LE(immediate | 0, index * 8 + 4);
  });
  return bytes;
}

function condition(rule: SocketRule): Instruction[] {
  switch (rule.kind) {
    case "all":
      return [];
    case "user":
      return [
        [OP.CALL, 0, 0, 0, HELPER.get_current_uid_gid],
        [OP.UNEQUAL_32, 0, 0, OUT, rule.uid],
      ];
    case "cgroup":
      return [
        [OP.MOV, 1, 0, 0, rule.level],
        [OP.CALL, 0, 0, 0, HELPER.get_current_ancestor_cgroup_id],
        [OP.LOAD_IMMEDIATE_64, 1, 0, 0, Number(BigInt.asIntN(32, rule.id))],
        [0, 0, 0, 0, Number(BigInt.asIntN(32, rule.id >> 32n))],
        [OP.UNEQUAL_REGISTER, 0, 1, OUT, 0],
      ];
  }
}

/** The name of a rule's file in bpffs, where no dot may be. */
export function ruleName(rule: SocketRule): string {
  switch (rule.kind) {
    case "all":
      return "all";
    case "user":
      return `user-${rule.uid}`;
    case "cgroup":
      return `cgroup-${rule.level}-${rule.id}`;
  }
}

/** The rule of a file in bpffs; undefined: it is none of ours. */
export function ruleOf(name: string): SocketRule | undefined {
  if (name === "all") return { kind: "all" };
  const [, uid] = /^user-(\d+)$/.exec(name) ?? [];
  if (uid !== undefined) return { kind: "user", uid: Number(uid) };
  const [, level, id] = /^cgroup-(\d+)-(\d+)$/.exec(name) ?? [];
  return level === undefined ? undefined : { kind: "cgroup", level: Number(level), id: BigInt(id!) };
}
