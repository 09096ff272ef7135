/** BTF: what types a kernel has, as /sys/kernel/btf/vmlinux says (Documentation/bpf/btf.rst). */

const MAGIC = 0xeb9f;
const KIND_FUNC = 12;
const TYPE_BYTES = 12;

/** Bytes behind a type, by its kind and its count of members. */
function extraBytes(kind: number, count: number): number {
  switch (kind) {
    case 1: // INT
    case 14: // VAR
    case 17: // DECL_TAG
      return 4;
    case 3: // ARRAY
      return 12;
    case 4: // STRUCT
    case 5: // UNION
    case 15: // DATASEC
    case 19: // ENUM64
      return 12 * count;
    case 6: // ENUM
    case 13: // FUNC_PROTO
      return 8 * count;
    default:
      return 0;
  }
}

/** The number of a function; undefined where the kernel has none of that name, or what is read is no BTF. */
export function functionId(btf: Buffer, name: string): number | undefined {
  if (btf.length < 24 || btf.readUInt16LE(0) !== MAGIC) return undefined;
  const [headerBytes, typesAt, typesBytes, stringsAt, stringsBytes] = [4, 8, 12, 16, 20].map((at) =>
    btf.readUInt32LE(at),
  ) as [...[number, number, number, number, number]];
  const strings = btf.subarray(headerBytes + stringsAt, headerBytes + stringsAt + stringsBytes);
  const found = strings.indexOf(`\0${name}\0`, 0, "latin1");
  if (found < 0) return undefined;
  const end = Math.min(btf.length, headerBytes + typesAt + typesBytes);
  let id = 1;
  for (let at = headerBytes + typesAt; at + TYPE_BYTES <= end; id++) {
    const info = btf.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 0x1f;
    if (kind === KIND_FUNC && btf.readUInt32LE(at) === found + 1) return id;
    at += TYPE_BYTES + extraBytes(kind, info & 0xffff);
  }
  return undefined;
}
