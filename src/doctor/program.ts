import type { Finding, FixStep } from "./finding.ts";

/** What a process of the program does with stream sockets that leave the host. */
export interface ProcessUse {
  readonly pid: number;
  /** The systemd service that it belongs to. */
  readonly unit: string | undefined;
  readonly mptcp: number;
  readonly tcp: number;
  readonly fellBack: readonly { readonly reason: Fallback; readonly count: number }[];
  /** Ports. */
  readonly listens: { readonly mptcp: readonly number[]; readonly tcp: readonly number[] };
}

/** Why a connection is plain TCP although this side asked for MPTCP, or the other. */
export type Fallback = "refused-by-peer" | "broken" | "not-tried" | "not-asked";

/** Everything about one program that can keep it from using MPTCP. */
export interface ProgramFacts {
  /** As a person would type it. */
  readonly name: string;
  readonly path: string;
  /** net.mptcp.enabled; undefined: this kernel has no MPTCP. */
  readonly enabled: boolean | undefined;
  /** Why its sockets stay plain TCP although a library is preloaded. */
  readonly obstacle: string | undefined;
  /** What makes its sockets MPTCP ones, in words ("a rule of the kernel for everybody"). */
  readonly madeBy: readonly string[];
  readonly processes: readonly ProcessUse[];
  /** Processes that may not be looked at. */
  readonly hidden: number;
}

/** Walks through one program from the kernel to its connections. The order is that in which things go wrong. */
export function diagnoseProgram(facts: ProgramFacts): Finding[] {
  return [kernel(facts), obstacle(facts), asking(facts), ...running(facts)].filter((finding) => finding !== undefined);
}

function finding(id: string, level: Finding["level"], seen: string, why = "", fix: readonly string[] = []): Finding {
  const steps = fix.map((command): FixStep => ({ type: "shell", command }));
  return { id, level, seen, why, fix: steps, safe: false };
}

function kernel({ enabled }: ProgramFacts): Finding {
  if (enabled) return finding("program-kernel", "ok", "this kernel has MPTCP, and it is on");
  const why = "Every socket that asks for MPTCP gets plain TCP, or an error.";
  if (enabled === false)
    return finding("program-kernel", "error", "net.mptcp.enabled is 0", why, ["sysctl -w net.mptcp.enabled=1"]);
  return finding("program-kernel", "error", "this kernel has no MPTCP", why);
}

function obstacle({ obstacle: text, madeBy, path }: ProgramFacts): Finding {
  if (text === undefined) return finding("program-preload", "ok", `a library can be preloaded into ${path}`);
  const isMade = madeBy.length > 0;
  return finding(
    "program-preload",
    isMade ? "note" : "warning",
    text,
    isMade
      ? "It does not matter here: its sockets are made MPTCP ones by the kernel."
      : "`subflow exec` and drop-ins of services work by a preloaded library; a rule of the kernel (Linux 6.6) needs none.",
    isMade ? [] : ["subflow enable --all"],
  );
}

function asking({ madeBy, name, processes }: ProgramFacts): Finding {
  if (madeBy.length > 0) return finding("program-asks", "ok", `asks for MPTCP by ${madeBy.join(" and ")}`);
  if (processes.some(usesMptcp)) return finding("program-asks", "ok", "asks for MPTCP by itself, or was started so");
  const units = unitsOf(processes);
  return finding(
    "program-asks",
    "warning",
    "nothing makes it ask for MPTCP",
    "Most programs ask for TCP, and get that. If it has a setting of its own for MPTCP, that is the best way.",
    units.length > 0 ? units.map((unit) => `subflow enable ${unit} --now`) : [`subflow exec ${name} ...`],
  );
}

function usesMptcp({ mptcp, fellBack, listens }: ProcessUse): boolean {
  return mptcp > 0 || listens.mptcp.length > 0 || fellBack.some(({ reason }) => reason !== "not-asked");
}

function unitsOf(processes: readonly ProcessUse[]): string[] {
  return [...new Set(processes.flatMap(({ unit }) => (unit === undefined ? [] : [unit])))];
}

function running(facts: ProgramFacts): Finding[] {
  const { processes, hidden, name } = facts;
  if (processes.length === 0) {
    const others = hidden > 0 ? `; ${hidden} processes of others may not be looked at: try as root` : "";
    return [
      finding("program-running", "note", `no process of ${name} has a connection that leaves this host${others}`),
    ];
  }
  const sum = (count: (use: ProcessUse) => number): number => processes.reduce((total, use) => total + count(use), 0);
  const mptcp = sum((use) => use.mptcp);
  const listening = processes.flatMap(({ listens }) => listens.mptcp);
  const found: Finding[] = [];
  if (mptcp > 0)
    found.push(
      finding("program-mptcp", "ok", mptcp === 1 ? "1 connection uses MPTCP" : `${mptcp} connections use MPTCP`),
    );
  if (listening.length > 0) found.push(finding("program-mptcp", "ok", `listens with MPTCP at ${ports(listening)}`));
  return [...found, ...plain(facts), ...fallen(processes)];
}

function plain({ processes, madeBy, name }: ProgramFacts): Finding[] {
  const those = processes.filter(({ tcp, listens }) => tcp > 0 || listens.tcp.length > 0);
  if (those.length === 0) return [];
  const tcp = those.reduce((total, use) => total + use.tcp, 0);
  const listening = those.flatMap(({ listens }) => listens.tcp);
  const what = [
    ...(tcp > 0 ? [`${tcp} of its connections ${tcp === 1 ? "is" : "are"} plain TCP`] : []),
    ...(listening.length > 0 ? [`it listens with plain TCP at ${ports(listening)}`] : []),
  ].join(", and ");
  const isOlder = madeBy.length > 0;
  const units = unitsOf(those);
  const restart = units.length > 0 ? units.map((unit) => `systemctl restart ${unit}`) : [];
  return [
    finding(
      "program-tcp",
      "warning",
      `${what} (process ${those.map(({ pid }) => pid).join(", ")})`,
      isOlder
        ? `They are older than what makes ${name} ask for MPTCP; a socket stays what it was made as.`
        : "They never asked for MPTCP.",
      isOlder ? restart : [],
    ),
  ];
}

const REASONS: Readonly<Record<Fallback, readonly [string, string]>> = {
  "refused-by-peer": [
    "the answer to the SYN had no MPTCP",
    "The peer knows no MPTCP, or something on the way takes it out: `subflow doctor --path HOST` tells which.",
  ],
  broken: [
    "begun with MPTCP, and went on without",
    "Something on the way changes what is in them: a proxy or a firewall that rewrites data or takes options out.",
  ],
  "not-tried": [
    "the kernel did not try",
    "It suspects that this network eats SYNs with MPTCP (net.mptcp.blackhole_timeout), or the socket has an option that MPTCP lacks.",
  ],
  "not-asked": [
    "this side listens with MPTCP, and the peer asked for TCP",
    "Nothing is wrong here: its clients use TCP.",
  ],
};

function fallen(processes: readonly ProcessUse[]): Finding[] {
  return (Object.keys(REASONS) as Fallback[]).flatMap((reason) => {
    const all = processes.flatMap(({ fellBack }) => fellBack.filter((each) => each.reason === reason));
    const count = all.reduce((total, each) => total + each.count, 0);
    if (count === 0) return [];
    const [seen, why] = REASONS[reason];
    const level = reason === "not-asked" ? "note" : "warning";
    return [
      finding(
        "program-fell-back",
        level,
        `${count === 1 ? "1 connection is" : `${count} connections are`} plain TCP: ${seen}`,
        why,
      ),
    ];
  });
}

function ports(numbers: readonly number[]): string {
  return `port ${[...new Set(numbers)].sort((one, other) => one - other).join(", ")}`;
}
