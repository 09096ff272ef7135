import { loadNative } from "../../netlink/index.ts";

/** Tells the service manager ("READY=1", "STOPPING=1", ...) where it asked to be told: sd_notify(3). */
export function notify(state: string): void {
  const socket = process.env.NOTIFY_SOCKET;
  if (!socket) return;
  loadNative().sendUnixDatagram(socket, Buffer.from(state));
}
