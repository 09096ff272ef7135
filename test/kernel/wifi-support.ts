import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { Host, Lab } from "../../src/lab/index.ts";
import { NETLINK, NetlinkClient, Nl80211 } from "../../src/netlink/index.ts";
import {
  decodeFamily,
  type Encodable,
  encode,
  encodeGetFamily,
  GENL_ID_CTRL,
  genlHeader,
  NL80211,
  type Table,
  WIFI_TYPE,
} from "../../src/wire/index.ts";
import { DEADLINE } from "./daemon-support.ts";

// Two radios that the kernel simulates (mac80211_hwsim), in one ad-hoc network: only where the whole machine is for this test.

/** NL80211_CMD_*: what sets a radio up. */
const COMMAND = { SET_INTERFACE: 6, JOIN_IBSS: 43, SET_WIPHY_NETNS: 49 } as const;
const ATTRIBUTE = {
  wiphy: [1, "u32"],
  ifindex: [3, "u32"],
  iftype: [5, "u32"],
  mac: [6, "bytes"],
  frequency: [38, "u32"],
  ssid: [52, "bytes"],
  frequencyFixed: [60, "flag"],
  pid: [82, "u32"],
} as const satisfies Table;

const NETWORK = {
  ssid: new TextEncoder().encode("subflow"),
  frequency: 2412,
  frequencyFixed: true,
  mac: Uint8Array.of(2, 0x11, 0x22, 0x33, 0x44, 0x55),
} as const;

function command(netns: string | undefined, which: keyof typeof COMMAND, values: Encodable<typeof ATTRIBUTE>): void {
  using client = new NetlinkClient(NETLINK.GENERIC, { netns });
  const family = client.get(
    { operation: "find nl80211", type: GENL_ID_CTRL, write: (writer) => encodeGetFamily(writer, NL80211.name) },
    decodeFamily,
  );
  client.execute({
    operation: which,
    type: family.id,
    write: (writer) => {
      genlHeader(writer, COMMAND[which], NL80211.version);
      encode(writer, ATTRIBUTE, values);
    },
  });
}

function run(...[program = "", ...words]: string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

/** The air between two radios. */
export interface Air {
  /**
   * From now on each receives the other so. The kernel adds the 20 dBm of the sender, so that -80 dBm is the least.
   */
  setSignal(dbm: number): void;
  /** What the host's radio receives, as our own reader says. */
  signalOf(host: Host): number | undefined;
}

/** Gives each of two hosts a radio of the two that there are, with this address. */
export async function wifi(lab: Lab, ends: readonly (readonly [Host, string])[]): Promise<Air> {
  run("modprobe", "mac80211_hwsim", "radios=2");
  run("mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug");
  const phys: string[] = [];
  for (const [nth, [host, address]] of ends.entries()) {
    const name = `wlan${nth}`;
    const phy = (what: string) => readFileSync(`/sys/class/net/${name}/phy80211/${what}`, "utf8").trim();
    phys.push(phy("name"));
    command(undefined, "SET_WIPHY_NETNS", { wiphy: Number(phy("index")), pid: host.pid });
    const { netns } = host;
    using radios = Nl80211.open({ netns });
    // As it is after its move, it may be connected to one other: a client of an access point.
    const ifindex = radios?.interfaces().find((radio) => radio.name === name)?.index ?? 0;
    command(netns, "SET_INTERFACE", { ifindex, iftype: WIFI_TYPE.ADHOC });
    await host.ip([`link set ${name} up`]);
    command(netns, "JOIN_IBSS", { ifindex, ...NETWORK });
    await host.ip([`address add ${address} dev ${name}`]);
  }
  const signalOf = ({ netns }: Host): number | undefined => {
    using radios = Nl80211.open({ netns });
    const [radio] = radios?.interfaces() ?? [];
    return radio && radios?.signalOf(radio);
  };
  const [[client] = []] = ends;
  await lab.waitFor(() => client && signalOf(client) !== undefined, DEADLINE, "the radios to hear each other");
  return {
    setSignal(dbm) {
      // The file takes negative numbers only as what they are as unsigned ones.
      const value = String(2n ** 64n + BigInt(dbm - 20));
      for (const phy of phys) writeFileSync(`/sys/kernel/debug/ieee80211/${phy}/hwsim/rx_rssi`, value);
    },
    signalOf,
  };
}
