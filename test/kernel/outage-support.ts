import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, Lab, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";

/** A client with so many links to a server; what is the client's comes from an empty configuration. */
export interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly links: number;
}

/** Who manages the client's paths: Subflow in one of its modes, endpoints that a user set by hand, or nobody. */
export type Manager = "kernel" | "userspace" | "static" | "nobody";

export const linkNumbers = ({ links }: Pick<World, "links">): number[] =>
  Array.from({ length: links }, (_, nth) => nth + 1);
export const address = (n: number): string => `10.0.${n}.1/24`;
const gateway = (n: number) => `route replace default via 10.0.${n}.2 dev eth${n} metric ${n}00`;

export async function inWorld(links: number, use: (world: World) => Promise<void>): Promise<void> {
  const all = linkNumbers({ links });
  await using lab = await Lab.create({
    hosts: { client: {}, server: {} },
    links: all.map((n) => ({ name: `eth${n}`, ends: { client: [address(n)], server: [`10.0.${n}.2/24`] } })),
  });
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.ip(all.map(gateway));
  using pm = MptcpPm.open({ netns: server.netns });
  pm.setLimits({ subflows: 8 });
  await use({ lab, client, server, links });
}

/** Starts a daemon, or sets what a user would set by hand, or does nothing. */
export async function manage({ lab, client, links }: World, manager: Manager): Promise<DaemonProcess | undefined> {
  if (manager === "kernel" || manager === "userspace") {
    return DaemonProcess.start(lab, client, "--path-manager", manager);
  }
  if (manager === "static") {
    const endpoints = linkNumbers({ links }).map((n) => `mptcp endpoint add 10.0.${n}.1 dev eth${n} subflow`);
    await client.ip(["mptcp limits set subflows 8", ...endpoints]);
  }
  return undefined;
}

/** A connection over the first link, with a subflow from each other where somebody manages paths. */
export async function connected(world: World, manager: Manager): Promise<TrafficConnection> {
  const { lab, client, server, links } = world;
  const service = await server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
  const expected = manager === "nobody" ? 1 : links;
  await lab.waitFor(() => pathsOf(client).length === expected, DEADLINE, `${expected} subflows`);
  return connection;
}

/** One end of an outage for link `n`: it begins, or is over. */
type Strike = (world: World, n: number, isOver: boolean) => Promise<void>;

/** What happens to a link, and how it ends. */
export const OUTAGES = {
  carrier: async ({ lab, client }, n, isOver) =>
    isOver ? backUp(lab, client, n) : lab.link(`eth${n}`).loseCarrier(client),
  "interface down": async ({ lab, client }, n, isOver) =>
    isOver ? backUp(lab, client, n) : lab.link(`eth${n}`).down(client),
  "address gone and back": async ({ client }, n, isOver) =>
    client.ip(
      isOver ? [`address add ${address(n)} dev eth${n}`, gateway(n)] : [`address del ${address(n)} dev eth${n}`],
    ),
  "another address": async ({ client }, n, isOver) =>
    client.ip(
      isOver ? [`address add 10.0.${n}.11/24 dev eth${n}`, gateway(n)] : [`address del ${address(n)} dev eth${n}`],
    ),
  "default route gone and back": async ({ client }, n, isOver) =>
    client.ip([isOver ? gateway(n) : `route del default via 10.0.${n}.2 dev eth${n} metric ${n}00`]),
} satisfies Record<string, Strike>;
export type Outage = keyof typeof OUTAGES;

async function backUp(lab: Lab, client: Host, n: number): Promise<void> {
  await lab.link(`eth${n}`).up();
  await client.ip([gateway(n)]);
}

/** What is lost, and when. */
export interface Scenario {
  readonly outage: Outage;
  readonly links: number;
  /** Of the outage. */
  readonly duration: Millis;
  /** Both sides send all the time, or begin to when the outage is over. */
  readonly isBusy: boolean;
}

/** A life on all links at once: they go, and return. */
export interface Survival {
  /** From the beginning of the return until what both sides sent had arrived; undefined when it did not. */
  readonly stall: Millis | undefined;
  readonly isIntact: boolean;
  readonly log: string;
}

const BYTES = 50_000;
/** Retransmissions double their distance: what was lost for a time may take as long again. A slow machine adds to it. */
export const returnDeadline = (outage: Millis): Millis => 1.5 * outage + 14_000;

/** Every link is struck at once; both directions must have their data when they are back. */
export async function survive(scenario: Scenario, manager: Manager): Promise<Survival> {
  const { links, duration, isBusy } = scenario;
  const strike: Strike = OUTAGES[scenario.outage];
  let survival: Survival | undefined;
  await inWorld(links, async (world) => {
    const daemon = await manage(world, manager);
    const { client, server } = await connected(world, manager);
    const both = () => Promise.all([transfer(client, server, BYTES), transfer(server, client, BYTES)]);
    for (const n of linkNumbers(world)) await strike(world, n, false);
    const during = isBusy ? both() : undefined;
    during?.catch(() => undefined);
    await sleep(duration);
    const start = performance.now();
    for (const n of linkNumbers(world)) await strike(world, n, true);
    const reports = await within(returnDeadline(duration), during ?? both()).catch(() => undefined);
    const stall = reports && performance.now() - start;
    // The next word is said as ever.
    const next = reports && (await within(returnDeadline(duration), both()).catch(() => undefined));
    const isIntact = next?.every((report) => report.isIntact) ?? false;
    survival = { stall: next && stall, isIntact, log: `${daemon?.log ?? ""}\n${describe(world.client)}` };
  });
  assert.ok(survival);
  return survival;
}

function describe(host: Host): string {
  return JSON.stringify(connectionsOf(host).map(({ subflows }) => subflows.map(({ state, path }) => [state, path])));
}

/** Local ports of the subflows: a subflow that was made again has another. */
export function portsOf(host: Host): number[] {
  using pm = MptcpPm.open({ netns: host.netns });
  return pm
    .connections()
    .flatMap(({ subflows }) => subflows.map(({ path }) => path.local.port))
    .sort((a, b) => a - b);
}

export async function within<T>(deadline: Millis, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(deadline, undefined, { signal: late.signal }).then(() => {
        throw new Error(`nothing more has arrived for ${deadline} ms: the connection hangs`);
      }),
    ]);
  } finally {
    late.abort();
  }
}
