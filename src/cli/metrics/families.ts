import { POLICIES } from "../../config/index.ts";
import type { ControlHello, LatencyHistogram, QuotaUse, WatchedConnection, WatchedSubflow } from "../../types/index.ts";
import type { Family, Sample } from "./exposition.ts";
import { FALLBACK_REASONS, type FallenCount } from "./fallen.ts";
import { Count, INTERFACES_MAX, type Tally } from "./tally.ts";

/** What is exposed, from what was counted, what the daemon says of itself, and the kernel's counters. */
export interface Facts {
  readonly tally: Tally;
  /** undefined: there is no daemon, or it does not answer. */
  readonly hello: ControlHello | undefined;
  /** MPTcpExt of /proc/net/netstat. */
  readonly counters: Readonly<Record<string, number>>;
  readonly fallen: FallenCount;
}

/** Every family, in a fixed order. */
export function families({ tally, hello, counters, fallen }: Facts): Family[] {
  return [
    ...daemonFamilies(tally, hello),
    ...timeFamilies(hello),
    ...quotaFamilies(hello?.quotas ?? []),
    ...connectionFamilies([...tally.connections.values()], tally, fallen),
    counter(
      "subflow_fallbacks",
      "Connections that asked for MPTCP and became plain TCP, by what the kernel says was missing, since this namespace began.",
      {
        label: "reason",
        entries: Object.entries(counters).flatMap(([name, value]) => {
          const reason = FALLBACK_REASONS.get(name);
          return reason === undefined ? [] : [[reason, value] as const];
        }),
      },
    ),
    ...countFamilies(tally),
    counter("subflow_mib", "MPTCP counters of the kernel (MPTcpExt of /proc/net/netstat); see `subflow status`.", {
      label: "counter",
      entries: Object.entries(counters).filter(([name]) => !GAUGES.has(name)),
    }),
  ];
}

/** Of the kernel's counters those that go down again. */
const GAUGES: ReadonlySet<string> = new Set(["MPCurrEstab"]);

function daemonFamilies(tally: Tally, hello: ControlHello | undefined): Family[] {
  const up = gauge("subflow_daemon_up", "1 where a daemon answers in this network namespace.", hello ? 1 : 0);
  const limited = gauge(
    "subflow_exporter_limited",
    "1 where only connections of the exporter's own user are counted.",
    tally.isLimited ? 1 : 0,
  );
  // Who may see but their own is told little of the daemon.
  if (!hello || hello.uptime === undefined) return [up, limited];
  const { version, pathManager, policy, uptime, events, overruns, foreseen, ahead, troubles, paths } = hello;
  return [
    up,
    limited,
    {
      name: "subflow_daemon",
      type: "info",
      help: "The daemon: its version, the path manager that it set, and the policy.",
      samples: [{ labels: { version, path_manager: pathManager, policy: policyLabel(policy) }, value: 1 }],
    },
    gauge("subflow_daemon_uptime_seconds", "Since the daemon began.", uptime / 1000),
    gauge("subflow_daemon_troubles", "Things that the daemon cannot do at present and tries again.", troubles.length),
    one("subflow_daemon_events", "MPTCP events that the daemon has read.", events),
    one("subflow_daemon_overruns", "Times that the kernel dropped events because they came too fast.", overruns),
    one(
      "subflow_daemon_foreseen",
      "Connections, and changes of the network, that were answered before they were read.",
      foreseen,
    ),
    counter("subflow_daemon_ahead_requests", "Requests that went out ahead, by what became of them.", {
      label: "outcome",
      entries: [
        ["taken", ahead.sent - ahead.refused],
        ["refused", ahead.refused],
      ],
    }),
    ...(paths
      ? [
          one("subflow_silent_paths", "Subflows that were closed because their path had gone silent.", paths.silent),
          one("subflow_probes", "Joins that were sent to see whether a path is alive.", paths.probes),
          one(
            "subflow_quarantines",
            "Times that a subflow became backup because its path lost too much.",
            paths.quarantines,
          ),
          one("subflow_recoveries", "Subflows that were lost and are there again.", paths.recoveries.count),
          gauge(
            "subflow_recovery_median_seconds",
            "From a loss to its recovery, of the last 256.",
            paths.recoveries.median / 1000,
          ),
          gauge("subflow_recovery_longest_seconds", "The longest of the last 256.", paths.recoveries.longest / 1000),
        ]
      : []),
    one("subflow_exporter_lost", "Events and decisions that came too fast for this exporter to count.", tally.lost),
  ];
}

/** A counter without labels. */
function one(name: string, help: string, value: number): Family {
  return { name, type: "counter", help, samples: [{ value }] };
}

/** How long it took, and what watches it. */
function timeFamilies(hello: ControlHello | undefined): Family[] {
  const { latency, watchdog, blackBox } = hello ?? {};
  return [
    ...(latency
      ? [
          histogram(
            "subflow_decision_seconds",
            "From the kernel's events to its having carried out what was decided; what went out ahead is not among it.",
            latency.decisions,
          ),
          histogram(
            "subflow_command_seconds",
            "The kernel's part of it: commands that went out together.",
            latency.commands,
          ),
        ]
      : []),
    ...(watchdog
      ? [
          gauge(
            "subflow_watchdog_interval_seconds",
            "Without a word for so long the service manager ends the daemon.",
            watchdog.interval / 1000,
          ),
          one("subflow_watchdog_told", "Times that the service manager was told that the daemon works.", watchdog.told),
          one("subflow_watchdog_missed", "Times that it was not, because the kernel did not answer.", watchdog.missed),
        ]
      : []),
    ...(blackBox
      ? [
          one("subflow_black_box_bytes", "Bytes that were written down of what happened.", blackBox.written),
          one("subflow_black_box_lost", "Entries that could not be written down.", blackBox.lost),
        ]
      : []),
  ];
}

/** They are told of when there are none, too: what an alert divides by. */
const KINDS = ["client kernel", "client userspace", "server kernel", "server userspace"] as const;

const STAGES = ["within", "warned", "backup", "off"] as const;

/** The first interfaces with a quota: they are chosen by patterns, which containers may match. */
function quotaFamilies(quotas: readonly QuotaUse[]): Family[] {
  const shown = quotas.slice(0, INTERFACES_MAX);
  const family = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name,
    type: "gauge",
    help,
    samples,
  });
  return [
    family(
      "subflow_quota_used_bytes",
      "Bytes, both ways, in the present period of an interface with a quota.",
      shown.map((quota) => ({ labels: { interface: quota.interface }, value: quota.used })),
    ),
    family(
      "subflow_quota_limit_bytes",
      "Its quota.",
      shown.map((quota) => ({ labels: { interface: quota.interface, period: quota.period }, value: quota.limit })),
    ),
    family(
      "subflow_quota_stage",
      "What follows from it: nothing, a warning, its endpoints are backup, or it has none. 1 for the one that holds.",
      shown.flatMap((quota) =>
        STAGES.map((stage) => ({
          labels: { interface: quota.interface, stage },
          value: Number(stage === quota.stage),
        })),
      ),
    ),
  ];
}

function connectionFamilies(all: readonly WatchedConnection[], tally: Tally, fallen: FallenCount): Family[] {
  if (!tally.hasDaemon) return [];
  // What fell back is no MPTCP connection, and cannot have a second subflow.
  const connections = all.filter(({ fallback }) => !fallback);
  const [kinds, policies, subflows] = [new Count(KINDS), new Count(), new Count()];
  for (const { side = "unknown", pathManager = "unknown", policy } of connections) {
    kinds.add(`${side} ${pathManager}`);
    if (policy !== undefined) policies.add(policyLabel(policy));
  }
  for (const subflow of connections.flatMap((each) => each.subflows)) {
    subflows.add(`${tally.label(subflow)} ${stateLabel(subflow.state)} ${subflow.backup || subflow.backupByPeer}`);
  }
  const number = (of: (each: WatchedConnection) => boolean): number => connections.filter(of).length;
  const some = (of: (each: WatchedSubflow) => boolean): number =>
    connections.flatMap((each) => each.subflows).filter(of).length;
  return [
    labelled("subflow_connections", "MPTCP connections now.", kinds, ["side", "path_manager"]),
    labelled("subflow_connections_by_policy", "Connections that a policy plans.", policies, ["policy"]),
    {
      name: "subflow_connections_fallen_back",
      type: "gauge",
      help: "Connections that asked for MPTCP and are plain TCP: since the handshake, or since later. Not among subflow_connections.",
      samples: (["handshake", "later"] as const).flatMap((at) => {
        const value = fallen[at];
        return value === undefined ? [] : [{ labels: { at }, value }];
      }),
    },
    gauge(
      "subflow_connections_without_subflow",
      "Established connections that have no subflow left; one that is being opened is none yet.",
      number((each) => each.established && existing(each) === 0),
    ),
    gauge(
      "subflow_connections_with_one_subflow",
      "Established connections with a single subflow.",
      number((each) => each.established && existing(each) === 1),
    ),
    labelled("subflow_subflows", "Subflows now.", subflows, ["interface", "state", "backup"]),
    gauge(
      "subflow_subflows_held",
      "Subflows that are kept because nothing else is left of their connection.",
      some(({ held }) => held),
    ),
    gauge(
      "subflow_subflows_quarantined",
      "Subflows that are backup because their path loses too much.",
      some(({ quarantined }) => quarantined),
    ),
    gauge(
      "subflow_subflows_stalled",
      "Subflows with data on their way and no answer for a second.",
      some(({ unacked, sinceAck }) => unacked > 0 && sinceAck > 1000),
    ),
  ];
}

/** A SYN that is tried again and again carries nothing. */
function existing({ subflows }: WatchedConnection): number {
  return subflows.filter(({ state }) => state !== "creating").length;
}

function countFamilies({ events, decisions, closed, peerResets, sent, received }: Tally): Family[] {
  const bytes = [
    ...sent.entries.map(([name, value]) => ({ labels: { interface: name, direction: "sent" }, value })),
    ...received.entries.map(([name, value]) => ({ labels: { interface: name, direction: "received" }, value })),
  ];
  return [
    counter("subflow_events", "Events of connections, since this exporter began.", {
      label: "type",
      entries: events.entries,
    }),
    counter("subflow_decisions", "What the daemon asked of the kernel, since this exporter began.", {
      label: "type",
      entries: decisions.entries,
    }),
    counter("subflow_subflows_closed", "Subflows that ended, by what their socket said.", {
      label: "reason",
      entries: closed.entries,
    }),
    counter("subflow_peer_resets", "Subflows that the peer reset with MP_TCPRST, by its reason.", {
      label: "reason",
      entries: peerResets.entries,
    }),
    {
      name: "subflow_interface_bytes",
      type: "counter",
      help: "Bytes of subflows by interface, as far as they were measured before a subflow ended.",
      samples: bytes,
    },
  ];
}

function gauge(name: string, help: string, value: number): Family {
  return { name, type: "gauge", help, samples: [{ value }] };
}

function counter(
  name: string,
  help: string,
  { label, entries }: { readonly label: string; readonly entries: readonly (readonly [string, number])[] },
): Family {
  return {
    name,
    type: "counter",
    help,
    samples: entries.map(([word, value]) => ({ labels: { [label]: word }, value })),
  };
}

/** Bounds in milliseconds become seconds; each bucket has those below it. */
function histogram(name: string, help: string, { bounds, counts, sum }: LatencyHistogram): Family {
  let below = 0;
  const buckets = counts.map((count, at): Sample => {
    below += count;
    const bound = bounds[at];
    return { part: "bucket", labels: { le: bound === undefined ? "+Inf" : `${bound / 1000}` }, value: below };
  });
  return {
    name,
    type: "histogram",
    help,
    samples: [...buckets, { part: "count", value: below }, { part: "sum", value: sum / 1000 }],
  };
}

/** A gauge whose labels stand in one key, with blanks between. */
function labelled(name: string, help: string, count: Count, labels: readonly string[]): Family {
  const samples = count.entries.map(([key, value]): Sample => {
    const words = key.split(" ");
    return { labels: Object.fromEntries(labels.map((label, index) => [label, words[index] ?? ""])), value };
  });
  return { name, type: "gauge", help, samples };
}

const KNOWN: ReadonlySet<string> = new Set(POLICIES);

/** Policies of others have names of their own: one label for all of them. */
function policyLabel(policy: string): string {
  if (policy === "") return "none";
  return KNOWN.has(policy) ? policy : "other";
}

const STATES: ReadonlySet<string> = new Set(["established", "creating", "closing"]);

function stateLabel(state: string): string {
  return STATES.has(state) ? state : "other";
}
