/** The scenes that pictures of policies are drawn from. */
import type { Host, TrafficConnection } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { type Address, ENDPOINT_FLAG, type Path, unmap } from "../src/types/index.ts";
import { configFile, DaemonProcess } from "../test/kernel/daemon-support.ts";
import { nft } from "../test/kernel/doctor-support.ts";
import { inWorld, linkNumbers, type World } from "../test/kernel/outage-support.ts";
import { fillQueue, shape } from "../test/kernel/policy-support.ts";

/** What happens to a client that sends to a server by two links. */
export interface Scene {
  readonly policy: string;
  /** Further lines of its configuration. */
  readonly more?: string;
  /** Of both links; milliseconds of data that wait. */
  readonly rate: string;
  readonly queue: number;
  /** Bytes every ten milliseconds. */
  readonly chunk: number;
  readonly note: string;
  readonly about: string;
  /** Lanes that are there without a subflow too. */
  readonly lanes: readonly string[];
  /** Which lane a subflow belongs to, as the server sees it. @param ports of all so far of that way, in the order they came */
  readonly laneOf: (path: Path, ports: readonly number[]) => string;
  /** Who has Subflow; default: the client. The other one is the kernel alone. */
  readonly host?: "server";
  /** Before the connection. */
  prepare?(world: World): Promise<unknown>;
  begins(world: World, traffic: TrafficConnection): Promise<unknown>;
  ends(world: World): Promise<unknown>;
  readonly full: number;
}

/** A world where the policy is in force, with the userspace path manager. */
export async function inScene({ policy, more = "", host }: Scene, use: (world: World) => Promise<void>): Promise<void> {
  await inWorld(2, async (world) => {
    const { lab, client, server } = world;
    const config = configFile(`path_manager: userspace\npolicy: ${policy}\n${more}`);
    if (host === "server") {
      await server.ip(linkNumbers(world).map((n) => `route replace default via 10.0.${n}.1 dev eth${n} metric ${n}00`));
      await client.ip(["mptcp limits set subflows 8 add_addr_accepted 8"]);
    }
    const daemon = await DaemonProcess.start(lab, world[host ?? "client"], "--config", config);
    await use(world);
    if ((await daemon.end()) !== 0) throw new Error(`the daemon failed:\n${daemon.log}`);
  });
}

let stopFilling: (() => void) | undefined;
let extra: NodeJS.Timeout | undefined;

/** "10.0.1.1" -> "1". */
const linkOf = (address: Address): string => unmap(address).split(".")[2] ?? "";

const BY_LINK: Pick<Scene, "lanes" | "laneOf"> = {
  lanes: ["path 1", "path 2"],
  laneOf: ({ remote }) => `path ${linkOf(remote.address)}`,
};
const BY_PAIR: Pick<Scene, "lanes" | "laneOf"> = {
  lanes: ["c1 to s1", "c1 to s2", "c2 to s1", "c2 to s2"],
  laneOf: ({ local, remote }) => `c${linkOf(remote.address)} to s${linkOf(local.address)}`,
};
const BY_PORT: Pick<Scene, "lanes" | "laneOf"> = {
  lanes: [],
  laneOf: ({ remote }, ports) => `port ${String.fromCharCode(97 + ports.indexOf(remote.port))}`,
};

/** Both addresses of the server are announced, so that there are four pairs. */
async function announceAll({ server }: World): Promise<void> {
  using pm = MptcpPm.open({ netns: server.netns });
  for (const n of [1, 2]) pm.addEndpoint({ address: `10.0.${n}.2` as Address, flags: ENDPOINT_FLAG.signal });
}

const CUT: Pick<Scene, "begins" | "ends" | "note"> = {
  note: "the carrier of the client's first link is lost",
  begins: ({ lab, client }) => lab.link("eth1").loseCarrier(client),
  ends: async ({ lab, client }) => {
    await lab.link("eth1").up();
    await client.ip(["route replace default via 10.0.1.2 dev eth1 metric 100"]);
  },
};
const PAIRS = { ...BY_PAIR, ...CUT, rate: "20mbit", queue: 50, chunk: 5000, full: 6, prepare: announceAll } as const;

/** The port of the subflow by which the client has sent most. */
function busiestPort(client: Host): number {
  using pm = MptcpPm.open({ netns: client.netns });
  const subflows = pm.connections().flatMap((connection) => connection.subflows);
  return subflows.sort((a, b) => b.bytesSent - a.bytesSent)[0]?.path.local.port ?? 0;
}

const calm = ({ server }: World): Promise<unknown> => server.exec(["nft", "delete", "table", "inet", "lab"]);

export const SCENES: Readonly<Record<string, Scene>> = {
  "active-backup": {
    policy: "{ name: active-backup, hold_down: 3s }",
    ...{ rate: "20mbit", queue: 50, chunk: 5000, full: 6 },
    ...{ ...BY_LINK, ...CUT, note: "the carrier of path 1 is lost" },
    about: "What arrives over each of two paths with active-backup while the first is lost and comes back",
  },
  handover: {
    policy: "{ name: handover, hold_down: 3s }",
    ...{ rate: "20mbit", queue: 50, chunk: 10_000, full: 12 },
    ...BY_LINK,
    note: "path 1 loses one packet in six",
    about: "What arrives over each of two paths with handover while the first loses packets",
    begins: ({ server }) => nft(server, "iifname eth1 meta length > 500 numgen random mod 100 < 16 drop"),
    ends: calm,
  },
  interactive: {
    policy: "{ name: interactive, hold_down: 2s }",
    ...{ rate: "4mbit", queue: 400, chunk: 200, full: 0.25 },
    ...BY_LINK,
    note: "somebody else fills the queue of path 1",
    about: "What arrives over each of two paths with interactive while somebody else's transfer fills the first",
    begins: async (world) => {
      stopFilling = await fillQueue(world, 1);
    },
    ends: async () => stopFilling?.(),
  },
  aggregate: {
    policy: "{ name: aggregate, hold_down: 3s }",
    ...{ rate: "10mbit", queue: 50, chunk: 40_000, full: 12 },
    ...BY_LINK,
    note: "path 2 carries 200 kbit/s, with 1.5 s of queue",
    about: "What arrives over each of two paths with aggregate while the second is very slow",
    begins: (world) => shape(world, 2, "200kbit", 1500),
    ends: (world) => shape(world, 2, "10mbit", 50),
  },
  priority: {
    policy: "priority",
    ...{ rate: "10mbit", queue: 50, chunk: 2500, full: 12 },
    ...BY_LINK,
    note: "the client sends as much as it can",
    about: "What arrives over each of two paths with priority while the application sends more than the first carries",
    begins: async (_world, { client }) => {
      extra = setInterval(() => void client.send(40_000).catch(() => undefined), 20);
    },
    ends: async () => clearInterval(extra),
  },
  standard: {
    ...{ ...PAIRS, policy: "standard" },
    about:
      "What arrives over each of four pairs of addresses with standard while the client's first link is lost and comes back",
  },
  fullmesh: {
    ...{ ...PAIRS, policy: "fullmesh" },
    about:
      "What arrives over each of four pairs of addresses with fullmesh while the client's first link is lost and comes back",
  },
  "one-per-interface": {
    ...{ ...PAIRS, policy: "one-per-interface" },
    about:
      "What arrives with one-per-interface, which has one subflow for each link, while the first is lost and comes back",
  },
  "one-to-one": {
    ...{ ...PAIRS, policy: "one-to-one" },
    about:
      "What arrives with one-to-one, first with first and second with second, while the first link is lost and comes back",
  },
  none: {
    ...{ ...PAIRS, policy: "none" },
    about: "What arrives with none, which opens nothing, while the only path is lost and comes back",
  },
  "announce-only": {
    ...{ ...PAIRS, policy: "announce-only", host: "server", prepare: async () => undefined },
    about:
      "What arrives at a server with announce-only, whose addresses a bare client joins, while a link is lost and comes back",
  },
  ndiffports: {
    policy: "{ name: ndiffports, subflows: 3 }",
    more: "interfaces: [{ name: eth2, role: off }]\n",
    ...{ ...BY_PORT, rate: "20mbit", queue: 50, chunk: 40_000, full: 20 },
    note: "the way of the busiest port drops everything",
    about:
      "What arrives over each of three subflows of ndiffports while the network's way for one of their ports is dead",
    begins: ({ client, server }) => nft(server, `tcp sport ${busiestPort(client)} drop`),
    ends: calm,
  },
  refresh: {
    policy: "{ name: refresh, every: 3s }",
    more: "limits: { subflows: 2 }\ninterfaces: [{ name: eth2, role: off }]\n",
    ...{ ...BY_PORT, rate: "20mbit", queue: 50, chunk: 40_000, full: 20 },
    note: "the way of the busiest port loses one packet in six",
    about:
      "What arrives over each of three subflows of refresh while the network's way for one of their ports is bad: it is closed, another is opened",
    begins: ({ client, server }) =>
      nft(server, `tcp sport ${busiestPort(client)} meta length > 500 numgen random mod 100 < 16 drop`),
    ends: calm,
  },
};
