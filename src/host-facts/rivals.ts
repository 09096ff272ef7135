import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Rival } from "../host/index.ts";

const RIVALS: Record<string, { name: string; command: string }> = {
  // The kernel keeps 15 characters of a process's name.
  NetworkManager: {
    name: "NetworkManager",
    command: "nmcli connection modify NAME connection.mptcp-flags disabled && nmcli device reapply DEVICE",
  },
  mptcpd: { name: "mptcpd", command: "systemctl disable --now mptcp.service" },
};

/**
 * Names the network namespace of a process: the inode of a file that each namespace has for itself. Unlike /proc/PID/ns/net
 * it may be looked at without rights over the process, and the daemon has given its own up.
 */
function namespaceOf(pid: string): number {
  return statSync(`/proc/${pid}/net/dev`).ino;
}

/** Those that run in this network namespace now. */
export function findRivals(): Rival[] {
  const own = namespaceOf("self");
  const found: Rival[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const rival = RIVALS[readFileSync(`/proc/${pid}/comm`, "latin1").trim()];
      if (rival && namespaceOf(entry) === own) found.push({ ...rival, pid });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}
