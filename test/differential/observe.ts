import { type SubflowInfo, type Token, unmap } from "../../src/types/index.ts";
import type { HostName, Side } from "./commands.ts";

/** What both path managers must agree on: joins, announcements, echoes, removals, priorities, refusals. */
const COUNTERS = [
  "MPJoinSynTx",
  "MPJoinSynTxCreatSkErr",
  "MPJoinSynTxBindErr",
  "MPJoinSynTxConnectErr",
  "MPJoinSynRx",
  "MPJoinSynBackupRx",
  "MPJoinSynAckRx",
  "MPJoinSynAckBackupRx",
  "MPJoinAckRx",
  "MPJoinNoTokenFound",
  "MPJoinRejected",
  "MPJoinPortSynRx",
  "MPJoinPortSynAckRx",
  "MPJoinPortAckRx",
  "MismatchPortSynRx",
  "MismatchPortAckRx",
  "AddAddr",
  "AddAddrTx",
  "AddAddrTxDrop",
  "AddAddrDrop",
  "EchoAdd",
  "EchoAddTx",
  "EchoAddTxDrop",
  "PortAdd",
  "RmAddr",
  "RmAddrDrop",
  "RmAddrTx",
  "RmAddrTxDrop",
  "RmSubflow",
  "MPPrioTx",
  "MPPrioRx",
  "MPRstTx",
] as const;

const otherOf = (host: HostName): HostName => (host === "client" ? "server" : "client");

export const isCounter = (name: string): boolean => (COUNTERS as readonly string[]).includes(name);

/** The port that scenarios connect to; other remote ports are chosen by chance. */
export const SERVICE_PORT = 4000;
const FIRST_EPHEMERAL = 10_000;

export type Counters = Readonly<Record<string, number>>;

/** The counters of both hosts, when the play began or now. */
export type BothCounters = Readonly<Record<HostName, Counters>>;

/** One host at one moment, a fact a line, sorted: what two path managers are compared by. */
export function observe(side: Side, token: Token, before: BothCounters, now: BothCounters): string[] {
  // Looked up, not dumped: a dump goes through every socket of the machine, and there are many looks.
  const connection = side.pm.connection(token, side.seen);
  side.seen = connection?.subflows ?? [];
  const subflows = connection?.subflows.filter(({ state }) => state === "established" || state === "syn-sent") ?? [];
  const delta = (name: string, host = side.name): number => (now[host][name] ?? 0) - (before[host][name] ?? 0);
  // Linux 6.1 does not count what it sent: there the peer's count has to do.
  const removals = "RmAddrTx" in now[side.name] ? delta("RmAddrTx") : delta("RmAddr", otherOf(side.name));
  const ignored: readonly string[] = [
    // An RM_ADDR makes the peer close the same subflow: which end was first, and counted it, is chance.
    ...(removals > 0 ? ["RmSubflow"] : []),
    // A subflow is closed by a reset instead of a FIN where data have just arrived there that nobody has read (tcp_close), at the end that closes it
    // first or at the other, when it hears of that: chance as well.
    ...(delta("RmSubflow") + delta("RmSubflow", otherOf(side.name)) > 0 ? ["MPRstTx"] : []),
  ];
  const counted = COUNTERS.filter((name) => !ignored.includes(name)).map((name) => [name, delta(name)] as const);
  return [
    ...subflows.map((subflow) => `${side.name} subflow ${subflowText(subflow)}`).sort(),
    ...counted.filter(([, value]) => value !== 0).map(([name, value]) => `${side.name} ${name} ${value}`),
  ];
}

/**
 * An ADD_ADDR that comes before the echo of the one before has gone out gets none (EchoAddTxDrop), and the sender's timer sends it
 * again: the kernel's doing on a machine under load, nobody's decision. The lines of both hosts as they are without it.
 */
export function withoutResends(lines: readonly string[]): string[] {
  const fewer = new Map<string, number>();
  for (const [receiver, sender] of [
    ["client", "server"],
    ["server", "client"],
  ] as const) {
    const dropped = countOf(lines, receiver, "EchoAddTxDrop");
    if (dropped === 0) continue;
    fewer.set(`${receiver} EchoAddTxDrop`, dropped);
    fewer.set(`${receiver} AddAddr`, dropped);
    // Those with a port are counted once more; which it was is not told, but where all had one.
    if (countOf(lines, receiver, "PortAdd") === countOf(lines, receiver, "AddAddr"))
      fewer.set(`${receiver} PortAdd`, dropped);
    fewer.set(`${sender} AddAddrTx`, dropped);
  }
  return lines.flatMap((line) => {
    const [host, name, value] = line.split(" ");
    const less = fewer.get(`${host} ${name}`);
    if (less === undefined) return line;
    return Number(value) > less ? `${host} ${name} ${Number(value) - less}` : [];
  });
}

function countOf(lines: readonly string[], host: HostName, name: string): number {
  return Number(lines.find((line) => line.startsWith(`${host} ${name} `))?.split(" ")[2] ?? 0);
}

/** "10.0.2.1 > 10.0.1.2:4000 ids 2/0 out backup" */
function subflowText({ path, localId, remoteId, initiated, ...rest }: SubflowInfo): string {
  const port = path.remote.port < FIRST_EPHEMERAL ? `:${path.remote.port}` : "";
  const words = [
    `${unmap(path.local.address)} > ${unmap(path.remote.address)}${port}`,
    `ids ${localId}/${remoteId}`,
    initiated ? "out" : "in",
    ...(rest.join ? [] : ["initial"]),
    ...(rest.state === "established" ? [] : [rest.state]),
    ...(rest.backupLocal ? ["backup"] : []),
    ...(rest.backupRemote ? ["backup-by-peer"] : []),
  ];
  return words.join(" ");
}

/** What is in `actual` and not in `expected` ("+"), and the other way round ("-"). */
export function difference(expected: readonly string[], actual: readonly string[]): string[] {
  const result: string[] = [];
  const rest = [...actual];
  for (const line of expected) {
    const at = rest.indexOf(line);
    if (at < 0) result.push(`- ${line}`);
    else rest.splice(at, 1);
  }
  return [...result, ...rest.map((line) => `+ ${line}`)].sort();
}

/** The announcements that wait for their echo: with one on its way, quiet does not last. */
export function echoesMissing(lines: readonly string[]): boolean {
  return (["client", "server"] as const).some(
    (host) => countOf(lines, host, "AddAddrTx") > countOf(lines, host, "EchoAdd"),
  );
}
