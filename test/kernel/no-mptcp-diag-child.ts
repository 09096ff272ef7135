// `subflow run` on a kernel without CONFIG_INET_MPTCP_DIAG: a dump of MPTCP sockets is refused as that refuses it.
import { runDaemon } from "../../src/daemon/index.ts";
import { loadNative, type NativeAddon, substituteNative } from "../../src/netlink/index.ts";
import { IPPROTO, NLMSG_HEADER, readU16, SOCK_DIAG_BY_FAMILY } from "../../src/wire/index.ts";

/** IPPROTO_RAW, which stands for protocols that do not fit a byte. */
const WIDE = 255;
const addon = loadNative();

const transact: NativeAddon["transact"] = (fd, bytes, length, slab, lengths, deadline) => {
  const isMptcp = readU16(bytes, 4) === SOCK_DIAG_BY_FAMILY && bytes[NLMSG_HEADER + 1] === WIDE;
  if (!isMptcp) return addon.transact(fd, bytes, length, slab, lengths, deadline);
  // The kernel's own refusal, of a protocol that it cannot list.
  const other = bytes.slice(0, length);
  new DataView(other.buffer).setUint32(length - 4, IPPROTO.MPTCP + 1, true);
  return addon.transact(fd, other, length, slab, lengths, deadline);
};

substituteNative({ ...addon, transact });
await runDaemon({ overrides: { path_manager: "kernel" }, version: "test" });
process.exit(0);
