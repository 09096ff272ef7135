import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import type { SysfsFacts } from "../host/index.ts";
import type { Link } from "../wire/index.ts";

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // No such interface in the sysfs that is mounted here, or it went in the meantime.
    return undefined;
  }
}

/** What the kernel makes in software says all of itself by rtnetlink: containers' links come by the hundred. */
const NOTHING_IN_SYSFS: ReadonlySet<string | undefined> = new Set(["veth", "bridge"]);

/** What sysfs says of an interface; nothing where the mounted sysfs is another namespace's. */
export function sysfsFacts({ name, kind }: Pick<Link, "name" | "kind">): SysfsFacts {
  if (NOTHING_IN_SYSFS.has(kind)) return { deviceType: undefined, wireless: false };
  const directory = `/sys/class/net/${name}`;
  return {
    deviceType: /^DEVTYPE=(.*)$/m.exec(read(`${directory}/uevent`) ?? "")?.[1],
    wireless: existsSync(`${directory}/wireless`) || existsSync(`${directory}/phy80211`),
  };
}

/** The name that systemd-networkd has for an interface: its .network file without the ending. */
function networkdName(interfaceIndex: number): string | undefined {
  const file = /^NETWORK_FILE=(.*)$/m.exec(read(`/run/systemd/netif/links/${interfaceIndex}`) ?? "")?.[1];
  return file ? basename(file, ".network") : undefined;
}

/** A nmcli that hangs (no D-Bus) must not hold anything up. Milliseconds. */
const NMCLI_DEADLINE = 3000;

/** Connection names of NetworkManager by interface name; empty where it does not run. */
function networkManagerNames(): Promise<Map<string, string>> {
  return new Promise((resolve) => {
    execFile("nmcli", ["-t", "-f", "DEVICE,CONNECTION", "device"], { timeout: NMCLI_DEADLINE }, (error, stdout) => {
      const names = new Map<string, string>();
      for (const line of error ? [] : stdout.split("\n")) {
        // nmcli -t writes a colon inside a value as "\:".
        const [device, connection] = line.split(/(?<!\\):/).map((field) => field.replaceAll("\\:", ":"));
        if (device && connection) names.set(device, connection);
      }
      resolve(names);
    });
  });
}

/** Interface index → what NetworkManager or systemd-networkd calls its connection. */
export async function connectionNames(links: readonly { index: number; name: string }[]): Promise<Map<number, string>> {
  const manager = await networkManagerNames();
  const names = new Map<number, string>();
  for (const { index, name } of links) {
    const found = manager.get(name) ?? networkdName(index);
    if (found !== undefined) names.set(index, found);
  }
  return names;
}
