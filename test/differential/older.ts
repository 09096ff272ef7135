import { readFileSync } from "node:fs";
import { type Features, probeFeatures } from "../../src/netlink/index.ts";
import type { HostName } from "./commands.ts";
import type { Scenario } from "./scenario.ts";

/*
 * What older kernels than the one that the scenarios are written for (Linux 6.18) do otherwise; see docs/differences.md.
 */

/** What the in-kernel path manager does up to some release, and ours does not. */
interface Fault {
  /** The first release without it. */
  readonly before: readonly [number, number];
  /** Stands in docs/differences.md. */
  readonly what: string;
  readonly scenarios: readonly string[];
}

export const FAULTS: readonly Fault[] = [
  {
    before: [6, 3],
    what: "`fullmesh` endpoints of IPv4 do not answer what is announced in an IPv6 connection",
    scenarios: ["v6: v4 fullmesh, v4 announced"],
  },
  {
    before: [6, 12],
    what: "a pair of addresses with `fullmesh` is connected twice",
    scenarios: [
      "fullmesh and one announced",
      "fullmesh, two at the client, two announced",
      "fullmesh with the initial address, one announced",
      "server denies, fullmesh",
      "fullmesh endpoint becomes backup",
      "endpoint is fullmesh no more",
      "fullmesh and a removal by the server",
      "v6: fullmesh and one announced",
      "mapped: fullmesh and one announced",
    ],
  },
];

let known: Features | undefined;
const features = (): Features => {
  known ??= probeFeatures();
  return known;
};

/** Faults have no other name than their release. */
export function isBefore([major, minor]: readonly [number, number]): boolean {
  const release = readFileSync("/proc/sys/kernel/osrelease", "latin1");
  const [, own = 0, ownMinor = 0] = (/^(\d+)\.(\d+)/.exec(release) ?? []).map(Number);
  return own < major || (own === major && ownMinor < minor);
}

/** Why the in-kernel path manager of this kernel is no measure for a scenario; undefined where it is. */
export function whyNoMeasure({ name, setup }: Scenario): string | undefined {
  if (/\blaminar\b/.test(setup) && features().laminar === false) return "this kernel knows no laminar endpoints";
  const fault = FAULTS.find(({ before, scenarios }) => scenarios.includes(name) && isBefore(before));
  return fault && `the in-kernel path manager of this kernel: ${fault.what}`;
}

/** Before Linux 6.14 the kernel refuses without a word, or with others: then ours, which has one, is compared by the number of the error. */
export function withoutWords(mine: readonly string[], theirs: readonly string[]): readonly string[] {
  if (!isBefore([6, 14])) return mine;
  const bare = (line: string): string => line.replace(/^(refused: .*: \d+ ).*$/, "$1");
  return mine.map((line) =>
    line.startsWith("refused: ") ? (theirs.find((other) => bare(other) === bare(line)) ?? line) : line,
  );
}

/**
 * A kernel without lists of addresses (before 6.9) is taken for one whose SUBFLOW_CREATE makes no backup subflow: what the in-kernel path
 * manager asks for in the SYN, ours asks for by MP_PRIO. The in-kernel one's lines as they are with ours at `host`.
 */
export function withBackupAsked(lines: readonly string[], host: HostName): readonly string[] {
  if (features().addressesByToken !== false) return lines;
  const peer = host === "client" ? "server" : "client";
  const count = (line: string): number => Number(lines.find((each) => each.startsWith(`${line} `))?.split(" ")[2] ?? 0);
  const asked = count(`${peer} MPJoinSynBackupRx`);
  if (asked === 0) return lines;
  const moved = [`${peer} MPJoinSynBackupRx`, `${host} MPPrioTx`, `${peer} MPPrioRx`];
  return [
    ...lines.filter((line) => !moved.some((name) => line.startsWith(`${name} `))),
    ...moved.slice(1).map((name) => `${name} ${count(name) + asked}`),
  ];
}
