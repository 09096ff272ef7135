import { amountText, type LeftOutEndpoint } from "../host/index.ts";
import type { Features } from "../netlink/index.ts";
import type { Connection, ControlHello, Endpoint, Limits, QuotaUse } from "../types/index.ts";
import { endpointJson, endpointLine, type InterfaceName, limitsJson } from "./endpoint-text.ts";
import { type Json, machine, Named } from "./json.ts";
import { type Row, tableLines, wrapped } from "./layout.ts";
import { COUNTER_MEANING, SYSCTL_MEANING } from "./status-meaning.ts";
import type { Streams } from "./streams.ts";

/** All that `status` shows; what could not be read is undefined and said in `notes`. */
export interface Status {
  readonly release: string;
  readonly features: Features;
  /** Of new sockets. */
  readonly pathManager: string | undefined;
  readonly sysctls: ReadonlyMap<string, string>;
  /** Of whoever is in charge: the kernel, or the daemon. */
  readonly limits: Limits | undefined;
  readonly endpoints: readonly Endpoint[] | undefined;
  readonly connections: readonly Connection[] | undefined;
  readonly counters: Readonly<Record<string, number>>;
  /** The Subflow daemon of the namespace, and what its host plan leaves out; undefined: none answers. */
  readonly daemon: { readonly hello: ControlHello; readonly leftOut: readonly LeftOutEndpoint[] } | undefined;
  /** Why there is nothing to show of the daemon although there may be one. */
  readonly daemonError: string | undefined;
  readonly notes: readonly string[];
}

/** The page of `status`. */
export function statusText(status: Status, interfaceName: InterfaceName, streams: Streams): string {
  const { paint, width } = streams;
  const rows = (list: readonly Row[]): string[] => tableLines(list, width, (text) => paint("dim", text));
  const heading = (text: string): string => paint("bold", text);
  const endpoints = (status.endpoints ?? []).map(
    (endpoint) => `  ${endpointLine(endpoint, interfaceName, paint).trimEnd()}`,
  );
  const counters = Object.entries(COUNTER_MEANING).filter(([name]) => status.counters[name]);
  const silent = Object.keys(status.counters).length - counters.length;
  return [
    heading("Kernel"),
    ...rows(kernelRows(status)),
    "",
    heading("Daemon"),
    ...rows(daemonRows(status)),
    "",
    heading("Settings (net.mptcp)"),
    ...rows([...status.sysctls].map(([name, value]): Row => [name, value, SYSCTL_MEANING[name] ?? ""])),
    "",
    heading("Limits of a connection"),
    ...rows(limitRows(status.limits)),
    "",
    heading(`Endpoints (${status.endpoints?.length ?? "unknown"})`),
    ...endpoints,
    "",
    heading("Connections"),
    ...rows(connectionRows(status.connections)),
    "",
    heading("Counters that are not 0"),
    ...rows(counters.map(([name, meaning]): Row => [name, String(status.counters[name]), meaning])),
    ...wrapped(`  ${silent} more are 0 or about data; "-j status" has them all`, width, 2).map((line) =>
      paint("dim", line),
    ),
    "",
  ].join("\n");
}

/** The value of `-j status`. */
export function statusJson(status: Status, interfaceName: InterfaceName): Json {
  const { connections } = status;
  return machine({
    kernel: { release: status.release, mptcp: true, ...status.features },
    pathManager: status.pathManager,
    daemon: status.daemon,
    daemonError: status.daemonError,
    settings: status.sysctls,
    limits: status.limits && limitsJson(status.limits),
    endpoints: status.endpoints?.map((endpoint) => endpointJson(endpoint, interfaceName)),
    connections: connections && {
      total: connections.length,
      subflows: subflowsOf(connections),
      fallback: connections.filter(({ fallback }) => fallback).length,
      kernel: connections.filter(({ pathManager }) => pathManager === "kernel").length,
      userspace: connections.filter(({ pathManager }) => pathManager === "userspace").length,
    },
    counters: new Named(status.counters),
    notes: status.notes,
  });
}

function kernelRows(status: Status): Row[] {
  const { features } = status;
  const manager = status.pathManager ?? "unknown";
  const meaning =
    manager === "kernel"
      ? "the kernel opens subflows by itself, from endpoints and limits"
      : "the kernel opens nothing by itself: a daemon, or announce and create, must";
  return [
    ["release", status.release, "MPTCP is available"],
    ["path manager", manager, `${meaning} (for sockets made from now on)`],
    ["userspace commands", known(features.userspacePathManager), "announce, remove, create, destroy, backup"],
    ["laminar endpoints", known(features.laminar), "a subflow to each announced address, from an address of its own"],
    [
      "fullmesh alone",
      known(features.fullmeshAlone),
      "where there is such an endpoint, no other answers announcements",
    ],
    ["largest limit", known(features.limitMax), "further subflows that a connection may have at most"],
    ["most endpoints", known(features.endpointsMax), "in a network namespace"],
  ];
}

function daemonRows({ daemon, daemonError }: Status): Row[] {
  if (daemonError !== undefined) return [["unknown", "", daemonError]];
  if (!daemon) return [["none", "", "no Subflow daemon answers in this network namespace: `subflow run` is one"]];
  const { hello, leftOut } = daemon;
  return [
    ["process", String(hello.pid), `version ${hello.version}, path manager ${hello.pathManager}`],
    ["uptime", `${Math.round(hello.uptime / 1000)} s`, `${hello.events} events, ${hello.overruns} overruns`],
    ["foreseen", String(hello.foreseen), aheadText(hello.ahead)],
    ...pathRows(hello.paths),
    ...(hello.quotas ?? []).map(quotaRow),
    ...blackBoxRows(hello.blackBox),
    ...(hello.troubles ?? []).map((trouble): Row => ["trouble", "", trouble]),
    ...leftOut.map(({ what, reason }): Row => ["no endpoint", what, reason]),
  ];
}

function blackBoxRows(use: ControlHello["blackBox"]): Row[] {
  if (!use) return [];
  const { directory, size, written, entries, lost } = use;
  const gaps = lost > 0 ? `; ${lost} could not be written` : "";
  return [["black box", amountText(size), `${directory}: ${entries} entries, ${amountText(written)} written${gaps}`]];
}

const QUOTA_FOLLOWS = {
  within: "",
  warned: "",
  backup: "; used up: backup until a new one begins",
  off: "; used up: off until a new one begins",
} as const;

function quotaRow(quota: QuotaUse): Row {
  const percent = Math.floor((100 * quota.used) / quota.limit);
  const amounts = `${amountText(quota.used)} of ${amountText(quota.limit)} a ${quota.period} (${percent} %)`;
  return ["quota", quota.interface, `${amounts}${QUOTA_FOLLOWS[quota.stage]}`];
}

/** A daemon of another version may not tell. */
function pathRows(paths: ControlHello["paths"]): Row[] {
  if (!paths) return [];
  const { silent, probes, quarantines, recoveries } = paths;
  const times =
    recoveries.count === 0
      ? ""
      : `, after ${duration(recoveries.median)} (median), ${duration(recoveries.longest)} at most`;
  return [
    [
      "silent paths",
      String(silent),
      `subflows closed for it; ${probes} joins asked, ${quarantines} quarantines of lossy paths`,
    ],
    ["recovered", String(recoveries.count), `subflows that were lost and are there again${times}`],
  ];
}

function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function aheadText({ sent, refused }: ControlHello["ahead"]): string {
  const requests = sent === 1 ? "1 request" : `${sent} requests`;
  return `events answered beforehand, with ${requests}; ${refused} ${refused === 1 ? "was" : "were"} refused`;
}

/** What was found by trying; trying needs the right to make a namespace. */
function known(found: boolean | number | undefined): string {
  if (found === undefined) return "unknown";
  return typeof found === "number" ? String(found) : found ? "yes" : "no";
}

function limitRows(limits: Limits | undefined): Row[] {
  if (!limits) return [["unknown", "", "the path manager in charge does not answer"]];
  return [
    ["subflows", String(limits.subflows), "further subflows, opened by either side"],
    ["add_addr_accepted", String(limits.addAddrAccepted), "announced addresses that are followed"],
  ];
}

function connectionRows(connections: readonly Connection[] | undefined): Row[] {
  if (!connections) return [["unknown", "", "they cannot be listed here"]];
  const fallback = connections.filter((connection) => connection.fallback).length;
  return [
    ["connections", String(connections.length), "MPTCP connections"],
    ["subflows", String(subflowsOf(connections)), "their subflows"],
    ["fallen back", String(fallback), "connections that are plain TCP by now"],
  ];
}

function subflowsOf(connections: readonly Connection[]): number {
  return connections.reduce((sum, { subflows }) => sum + subflows.length, 0);
}
