import { MptcpPm } from "../../netlink/index.ts";
import { type Path, SubflowError, type WatchedConnection } from "../../types/index.ts";

/** What a person may do to a subflow, with --control. */
export type DeedType = "backup" | "nobackup" | "close";

/**
 * Does it.
 * @returns what became of it
 * @throws SubflowError the kernel refuses, or it is the last subflow of its connection
 */
export function perform(
  netns: string | undefined,
  type: DeedType,
  { token, subflows }: WatchedConnection,
  path: Path,
): string {
  if (type === "close" && subflows.length === 1) {
    throw new SubflowError("it is the last subflow of its connection, and stays", { code: "LAST_SUBFLOW" });
  }
  const pm = MptcpPm.open({ netns });
  try {
    if (type === "close") pm.destroySubflow({ token, path });
    else pm.setBackup({ token, path, backup: type === "backup" });
  } finally {
    pm.close();
  }
  return type === "close" ? "closed" : "done";
}
