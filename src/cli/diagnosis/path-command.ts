import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Attempt, judgePaths, type PathTrial, pathAddresses } from "../../doctor/index.ts";
import type { HostLink } from "../../host/index.ts";
import { type Fd, loadNative, MptcpPm, Rtnl, readPathManager } from "../../netlink/index.ts";
import {
  type Address,
  ENDPOINT_FLAG,
  familyOf,
  formatSocketAddress,
  type Millis,
  parseAddress,
  sameAddress,
} from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, wrongArgument } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { mptcpInfo, type Route, tryMptcp, tryPlain } from "./connect.ts";
import { gatherFacts } from "./gather.ts";
import { verdictsText } from "./text.ts";

/** HTTPS: what most middleboxes let through, and most hosts answer. */
const PORT = 443;
/** A join takes one round trip and a half after the first data is acknowledged. */
const JOIN_DEADLINE: Millis = 3000;
const POLL: Millis = 20;

/** `doctor --path`: what each local path does with MPTCP to one host. */
export async function testPaths(
  { global, streams }: Context,
  target: string,
  { join }: { join: boolean },
): Promise<number> {
  const { host, port } = parseTarget(target);
  const remotes = await resolve(host);
  const facts = await gatherFacts({ isForeign: global.netns !== undefined });
  const paths = pathAddresses(facts);
  const trials: PathTrial[] = [];
  for (const remote of remotes) {
    for (const { address, link } of paths.filter(({ address }) => familyOf(address) === familyOf(remote))) {
      const route = { local: address, interfaceIndex: link.index, remote, port };
      trials.push(await testPath(route, link));
    }
  }
  if (trials.length === 0)
    throw failure(`Error: no local address can reach ${host} by its family (${remotes.join(", ")}).`);
  const joined = join ? await testJoins(trials, port, paths) : trials;
  const verdicts = judgePaths(joined);
  if (global.json) streams.out(renderJson(machine(verdicts), global.pretty));
  else {
    streams.out(`to ${remotes.map((address) => formatSocketAddress({ address, port })).join(", ")}\n`);
    streams.out(verdictsText(verdicts, streams));
  }
  return verdicts.every(({ verdict }) => verdict === "survives") ? EXIT.success : EXIT.warnings;
}

/** "example.org", "example.org:8443", "10.0.0.1:80", "[2001:db8::1]:443", "2001:db8::1". */
function parseTarget(target: string): { host: string; port: number } {
  const match = parseAddress(target) ? undefined : /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(target);
  if (!match && !parseAddress(target))
    throw wrongArgument(target, "a host is a name or an address, [ADDRESS]:PORT for IPv6");
  const port = Number(match?.[3] ?? PORT);
  if (port < 1 || port > 0xffff) throw wrongArgument(target, "a port is 1 to 65535");
  return { host: match?.[1] ?? match?.[2] ?? target, port };
}

/** The first address of each family. */
async function resolve(host: string): Promise<Address[]> {
  try {
    const found = (await lookup(host, { all: true })).flatMap(({ address }) => parseAddress(address) ?? []);
    return [2, 10].flatMap((family) => found.find((address) => familyOf(address) === family) ?? []);
  } catch (error) {
    throw failure(`Error: ${host} has no address: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`);
  }
}

async function testPath(route: Route, { name }: HostLink): Promise<PathTrial> {
  const withMptcp: Attempt[] = [];
  // A second time only where the first went wrong: a verdict against a path needs two.
  while (withMptcp.length < 2 && !withMptcp.some(({ result }) => result === "mptcp")) {
    const { attempt, fd } = await tryMptcp(route);
    if (fd >= 0) loadNative().close(fd);
    withMptcp.push(attempt);
  }
  const isFine = withMptcp.some(({ result }) => result === "mptcp");
  const plain = isFine || !leavesByItself(route) ? undefined : await tryPlain(route);
  const { local, remote } = route;
  return { local, device: name, remote, withMptcp, plain, join: undefined, joinNote: "" };
}

/** Does the source address alone lead out by the interface? Otherwise plain TCP would test another path. */
function leavesByItself({ local, remote, interfaceIndex }: Route): boolean {
  using rtnl = Rtnl.open();
  return rtnl.routeTo(remote, { source: local })?.outputInterface === interfaceIndex;
}

type Path = ReturnType<typeof pathAddresses>[number];

/** For each remote: one connection from a path that works, and which endpoints join it by themselves. */
async function testJoins(trials: readonly PathTrial[], port: number, paths: readonly Path[]): Promise<PathTrial[]> {
  if (readPathManager() !== "kernel") {
    return trials.map((trial) => ({ ...trial, joinNote: "not tried: the in-kernel path manager is not in charge" }));
  }
  const joined = new Map<PathTrial, Pick<PathTrial, "join" | "joinNote">>();
  for (const remote of new Set(trials.map((trial) => trial.remote))) {
    const here = trials.filter((trial) => trial.remote === remote);
    const initial = here.find(({ withMptcp }) => withMptcp.at(-1)?.result === "mptcp");
    if (!initial) continue;
    const { index } = paths.find(({ address }) => address === initial.local)!.link;
    const found = await joinsOf({ local: initial.local, interfaceIndex: index, remote, port });
    for (const trial of here) joined.set(trial, trial === initial ? INITIAL : joinOf(trial, initial, found));
  }
  return trials.map((trial) => ({ ...trial, ...joined.get(trial) }));
}

const INITIAL = { join: undefined, joinNote: "not needed: the connection of the test began here" };

interface Joins {
  readonly endpoints: readonly Address[];
  readonly established: readonly Address[];
}

function joinOf(
  { local }: PathTrial,
  initial: PathTrial,
  { endpoints, established }: Joins,
): Pick<PathTrial, "join" | "joinNote"> {
  if (established.some((address) => sameAddress(address, local))) {
    return { join: "established", joinNote: `to the connection begun from ${initial.local}` };
  }
  if (endpoints.some((address) => sameAddress(address, local))) {
    return {
      join: "none",
      joinNote: `no join within ${JOIN_DEADLINE / 1000} s; \`subflow doctor\` names obstacles of this host`,
    };
  }
  return { join: undefined, joinNote: "not tried: no endpoint with `subflow` has this address" };
}

async function joinsOf(route: Route): Promise<Joins> {
  const { fd } = await tryMptcp(route);
  using pm = MptcpPm.open();
  const family = familyOf(route.local);
  const endpoints = pm
    .endpoints()
    .filter(({ flags, address }) => flags & ENDPOINT_FLAG.subflow && familyOf(address) === family)
    .map(({ address }) => address)
    .filter((address) => !sameAddress(address, route.local));
  try {
    return { endpoints, established: fd < 0 ? [] : await watchJoins(pm, fd, endpoints.length) };
  } finally {
    if (fd >= 0) loadNative().close(fd);
  }
}

/** A client is fully established with the first answer to data (net/mptcp/options.c): one byte is the least. */
async function watchJoins(pm: MptcpPm, fd: Fd, expected: number): Promise<Address[]> {
  const token = mptcpInfo(fd)?.token;
  loadNative().send(fd, Uint8Array.of(0x0a), 1);
  const end = performance.now() + JOIN_DEADLINE;
  for (;;) {
    const subflows = (token === undefined ? undefined : pm.connection(token))?.subflows ?? [];
    const joins = subflows.filter(
      ({ join, state, fullyEstablished }) => join && state === "established" && fullyEstablished,
    );
    if (joins.length >= expected || performance.now() > end) return joins.map(({ path }) => path.local.address);
    await sleep(POLL);
  }
}
