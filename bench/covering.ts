/**
 * Does every address get a subflow? For 1 to 4 addresses on either side, our client against peers of several habits:
 * `npm run bench -- covering [words]`; words choose cells: `npm run bench -- covering 2x3 late`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { patience, type TrafficEnd } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { pathsOf } from "../test/kernel/daemon-support.ts";
import { isCovered, short } from "./_matrix-cell.ts";
import { addressOf, type Configs, numbers, type Setup, type Size, setByHand, World } from "./_matrix-world.ts";
import { printMachine } from "./_support.ts";

/** How the server behaves: ours, or a bare kernel that announces at once, later, or forbids joins to its initial address. */
const PEERS = ["ours", "ours-denies", "announces", "late", "denies"] as const;
type Peer = (typeof PEERS)[number];

const MODE = process.env.MODE === "userspace" ? "userspace" : "kernel";
const JOBS = Number(process.env.JOBS ?? 6);
const DEADLINE = 2500;
const SETTLE = 700;
const words = process.argv.slice(2);

interface Outcome {
  readonly size: Size;
  readonly peer: Peer;
  readonly covered: boolean;
  readonly paths: string;
}

async function cover(size: Size, peer: Peer): Promise<Outcome> {
  const isOurs = peer.startsWith("ours");
  const setup: Setup = isOurs ? `${MODE}-profile` : `${MODE}-client`;
  const configs: Configs = {
    client: process.env.CLIENT ?? "",
    server: `${process.env.SERVER ?? ""}\n${peer === "ours-denies" ? "behind_load_balancer: true" : ""}`,
  };
  await using world = await World.create(size, setup, configs);
  const [client, server] = [world.host("client"), world.host("server")];
  using pm = MptcpPm.open({ netns: server.netns });
  if (peer === "late") pm.flushEndpoints();
  if (peer === "denies") server.sysctl("net.mptcp.allow_join_initial_addr_port", 0);
  const service = await server.listen({ address: size.family === 4 ? "0.0.0.0" : "::" });
  const connection = await service.connect(client.netns, { to: addressOf("server", 1, size.family) });
  const say = (end: TrafficEnd): Promise<void> => end.send(1000).catch(() => undefined);
  await Promise.all([say(connection.client), say(connection.server)]);
  if (peer === "late") {
    await sleep(SETTLE);
    setByHand(server, "server", size);
  }
  const end = performance.now() + patience(DEADLINE);
  while (performance.now() < end && !isCovered(pathsOf(client), size)) {
    await sleep(25);
    await Promise.all([say(connection.client), say(connection.server)]);
  }
  await sleep(SETTLE);
  const paths = pathsOf(client);
  return { size, peer, covered: isCovered(paths, size), paths: short(paths, size) };
}

const nameOf = ({ local, remote, family }: Size): string => `${local}x${remote}${family === 6 ? "v6" : ""}`;

const all: Size[] = [];
for (const family of [4, 6] as const) {
  for (const local of numbers(4)) for (const remote of numbers(4)) all.push({ local, remote, family });
}
const isNamed = (...names: string[]): boolean =>
  words.every((word) => word.split("|").some((choice) => names.includes(choice)));
const cells = all
  .flatMap((size) => PEERS.map((peer) => ({ size, peer })))
  .filter(
    ({ size, peer }) => isNamed(nameOf(size), peer, `v${size.family}`) && (size.family === 4 || words.length > 0),
  );

printMachine();
const outcomes: Outcome[] = [];
const left = [...cells];
const work = async (): Promise<void> => {
  for (let cell = left.shift(); cell !== undefined; cell = left.shift())
    outcomes.push(await cover(cell.size, cell.peer));
};
await Promise.all(Array.from({ length: JOBS }, work));

const peers = PEERS.filter((peer) => cells.some((cell) => cell.peer === peer));
console.log(`\n| ${MODE} mode | ${peers.join(" | ")} |\n| --- |${" --- |".repeat(peers.length)}`);
for (const size of all.filter((each) => cells.some((cell) => cell.size === each))) {
  const row = peers.map((peer) => {
    const found = outcomes.find((outcome) => outcome.size === size && outcome.peer === peer);
    return found ? `${found.covered ? "" : "**no**: "}${found.paths}` : "";
  });
  console.log(`| ${nameOf(size)} | ${row.join(" | ")} |`);
}
console.log(`\n${outcomes.filter(({ covered }) => covered).length} of ${outcomes.length} covered`);
