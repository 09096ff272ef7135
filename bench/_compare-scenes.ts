import { setTimeout as sleep } from "node:timers/promises";
import type { Millis } from "../src/types/index.ts";
import { mend, strike } from "./_matrix-losses.ts";
import { addressOf, type Manager, near, type Size, type World } from "./_matrix-world.ts";

/** What happens to a client that talks to a server which the kernel alone manages, endpoints set by hand. */
export interface Scene {
  readonly size: Size;
  /** Of ours, which policy is made for that, in a configuration. */
  readonly policy: string;
  /** What the user says of his links, to Subflow in any mode. */
  readonly config?: string;
  /** Before the connection begins. */
  prepare?(world: World, manager: Manager): Promise<unknown>;
  begins(world: World): Promise<unknown>;
  /** How long it lasts, before... */
  readonly lasts: Millis;
  ends?(world: World): Promise<unknown>;
}

const TWO = { local: 2, remote: 1, family: 4 } as const;
const FIRST = { host: "client", n: 1 } as const;
const ACTIVE_BACKUP = "active-backup";

/** The client's first address, and the one that it gets instead. */
const OLD = `${addressOf("client", 1, 4)}/24`;
const NEW = "10.11.0.9/24";
const toRouter = "route replace default via 10.11.0.2 dev c1 metric 100";

async function pull(world: World): Promise<void> {
  await world.lab.link(near("client", 1)).loseCarrier(world.host("client"));
}

async function plugIn(world: World): Promise<void> {
  await mend(world, { kind: "link-down", ...FIRST });
}

/** The first router rewrites the client's addresses to its own, as a home router does. */
async function masquerade({ lab }: World): Promise<void> {
  const lines = [
    "add table ip nat",
    "add chain ip nat post { type nat hook postrouting priority 100; }",
    "add rule ip nat post oifname u1 masquerade",
  ];
  await lab.host("isp1").exec(["nft", "-f", "-"], { input: `${lines.join("\n")}\n` });
}

/** Its provider gives it another address: what it had rewritten before is forgotten, and the peer meets a stranger. */
async function rebind({ lab }: World): Promise<void> {
  await lab
    .host("isp1")
    .ip([
      "address del 10.111.0.1/24 dev u1",
      "address add 10.111.0.3/24 dev u1",
      "route replace default via 10.111.0.2 dev u1",
    ]);
}

async function flap(world: World): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await pull(world);
    await sleep(1000);
    await plugIn(world);
    await sleep(4000);
  }
}

/** Both links are gone at once; the host wakes with one, in another network. */
async function fallAsleep(world: World): Promise<void> {
  await Promise.all([1, 2].map((n) => world.lab.link(near("client", n)).down(world.host("client"))));
}

async function wakeUp(world: World): Promise<void> {
  await world.lab.host("isp1").ip(["address add 10.31.0.2/24 dev c1"]);
  await world.lab.host("core").ip(["route replace 10.31.0.0/24 via 10.111.0.1 dev u1"]);
  const lines = [`address del ${OLD} dev c1`, "link set dev c1 up", "address add 10.31.0.1/24 dev c1"];
  await world.host("client").ip([...lines, "route replace default via 10.31.0.2 dev c1 metric 100"]);
}

const METERED = "interfaces: [{ name: c2, role: backup, metered: true }]";

export const SCENES: Readonly<Record<string, Scene>> = {
  "cable pulled and back": { size: TWO, policy: ACTIVE_BACKUP, begins: pull, lasts: 6000, ends: plugIn },
  "address changed": {
    ...{ size: TWO, policy: ACTIVE_BACKUP, lasts: 1000 },
    begins: (world) => world.host("client").ip([`address del ${OLD} dev c1`, `address add ${NEW} dev c1`, toRouter]),
  },
  "path silent": {
    // Where one path carries alone nothing else is heard of: what is silent is closed a look later.
    ...{ size: TWO, policy: "resilient", lasts: 6000 },
    begins: (world) => strike(world, { kind: "silent-drop", ...FIRST }),
    ends: (world) => mend(world, { kind: "silent-drop", ...FIRST }),
  },
  "server restarts its second interface": {
    ...{ size: { ...TWO, remote: 2 }, policy: "fullmesh", lasts: 3000 },
    begins: (world) => strike(world, { kind: "link-down", host: "server", n: 2 }),
    ends: (world) => mend(world, { kind: "link-down", host: "server", n: 2 }),
  },
  "NAT rebinding": { size: TWO, policy: ACTIVE_BACKUP, prepare: masquerade, begins: rebind, lasts: 1000 },
  "one of three flaps every 5 s": {
    ...{ size: { ...TWO, local: 3 }, policy: "{ name: active-backup, hold_down: 15s }" },
    ...{ begins: flap, lasts: 0 },
  },
  "one lossy path": {
    ...{ size: TWO, policy: "{ name: handover, loss: 3% }", lasts: 15_000 },
    begins: ({ lab }) =>
      lab.host("isp1").exec(["nft", "-f", "-"], {
        input:
          "add table ip lossy\nadd chain ip lossy way { type filter hook forward priority 0; }\nadd rule ip lossy way numgen random mod 100 < 8 drop\n",
      }),
  },
  "metered second path, cable pulled": {
    ...{ size: TWO, policy: "{ name: active-backup, mode: lazy, hold_down: 1s }", config: METERED },
    // What an admin can say of it to the kernel; mptcpd gives all of its endpoints the same flags.
    prepare: async (world, manager) =>
      manager === "bare" ? world.host("client").ip(["mptcp endpoint change id 2 backup"]) : undefined,
    ...{ begins: pull, lasts: 6000, ends: plugIn },
  },
  "asleep 5 s, wakes in another network": {
    ...{ size: TWO, policy: ACTIVE_BACKUP, begins: fallAsleep, lasts: 5000, ends: wakeUp },
  },
};
