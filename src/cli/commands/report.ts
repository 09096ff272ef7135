import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../../control/index.ts";
import { enterNetns } from "../../daemon/index.ts";
import { type DoctorFacts, diagnose, type Finding, Masker } from "../../doctor/index.ts";
import { probeFeatures, readCounters } from "../../netlink/index.ts";
import { SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { gatherFacts } from "../diagnosis/gather.ts";
import { ipFlags } from "../diagnosis/ip-flags.ts";
import { findingsJson, findingsText, notLookedText } from "../diagnosis/text.ts";
import { EXIT, wrongArgument } from "../failure.ts";
import { type Json, machine, Named, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { type LastMinutes, lastMinutes } from "../replay/last-minutes.ts";
import { painter } from "../streams.ts";
import { VERSION } from "../version.ts";

const WINDOW_DEFAULT = 2;
const WINDOW_MAX = 600;

/** `report`: everything that a bug report needs, in one file. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  const [file] = words;
  const { global, streams } = context;
  if (global.netns !== undefined) enterNetns(global.netns);
  const seen = await collect(windowOf(values.window), global.netns !== undefined);
  const report = values.mask === undefined ? seen : masked(seen);
  const place = { netns: global.netns, userspace: report.facts.daemon === "userspace", ipFlags: ipFlags() };
  const text = global.json ? json(report, place, global.pretty) : markdown(report, place);
  if (file === undefined) streams.out(text);
  else {
    write(file, text);
    streams.err(
      `${file} is written; read it before you send it${values.mask ? "" : " (--mask hides addresses and names of hosts)"}.\n`,
    );
  }
  return EXIT.success;
}

/** Every value is learnt before the first is written, so that no spelling of one slips through. */
function masked(report: Report): Report {
  const masker = new Masker();
  for (const name of [hostname(), ...namesIn("/etc/hostname", /^(\S+)/gm)]) masker.learnHost(name);
  for (const domain of namesIn("/etc/resolv.conf", /^(?:search|domain)[ \t]+(.+)$/gm)) masker.learnHost(domain);
  masker.learn(report);
  return masker.value(report);
}

function namesIn(file: string, pattern: RegExp): string[] {
  try {
    return [...readFileSync(file, "utf8").matchAll(pattern)].flatMap(([, names]) => names!.split(/\s+/));
  } catch {
    return [];
  }
}

/** Addresses and peers are not everybody's to read, and an existing file of that name is not ours to fill by a link. */
function write(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  try {
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function windowOf(text: string | undefined): number {
  const seconds = Number(text ?? WINDOW_DEFAULT);
  if (!(seconds >= 0 && seconds <= WINDOW_MAX))
    throw wrongArgument(text ?? "", `a window is 0 to ${WINDOW_MAX} seconds`);
  return seconds;
}

interface Report {
  readonly versions: Readonly<Record<string, string>>;
  readonly features: unknown;
  readonly facts: DoctorFacts;
  readonly findings: readonly Finding[];
  /** What grew within the window. */
  readonly growth: { readonly seconds: number; readonly counters: Readonly<Record<string, number>> };
  readonly daemon: { readonly hello: unknown; readonly host: unknown } | undefined;
  /** Of the black box. */
  readonly lastMinutes: LastMinutes;
}

async function collect(seconds: number, isForeign: boolean): Promise<Report> {
  const before = readCounters();
  await sleep(seconds * 1000);
  const facts = await gatherFacts({ isForeign });
  const changed = Object.entries(facts.counters).map(([name, value]) => [name, value - (before[name] ?? 0)] as const);
  return {
    versions: { subflow: VERSION, kernel: release(), node: process.versions.node, system: systemName() },
    features: features(),
    facts,
    findings: diagnose(facts),
    growth: { seconds, counters: Object.fromEntries(changed.filter(([, difference]) => difference !== 0)) },
    daemon: facts.daemon && { hello: await answer("hello"), host: await answer("host") },
    lastMinutes: await lastMinutes(Date.now()),
  };
}

/** Without MPTCP there is nothing to probe, and the report is all the more needed. */
function features(): unknown {
  try {
    return probeFeatures();
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    return error.message;
  }
}

async function answer(method: "hello" | "host"): Promise<unknown> {
  try {
    return await ask(method, {});
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    return error.message;
  }
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}

type Place = Parameters<typeof findingsJson>[1];

/** The parts of a report under their headings, as programs get them. */
function parts({ facts, features, growth, daemon, lastMinutes }: Report): Record<string, Json> {
  const { endpoints, limits, links, addresses, routes, rules, routeProbes, connections, counters } = facts;
  const { pathManager, kernelEndpoints, managers, listeners, plainListeners, plainConnections, firewall } = facts;
  return machine({
    features,
    pathManager: { pathManager, daemon: facts.daemon, eventListener: facts.eventListener, managers },
    sysctls: new Named(Object.fromEntries(facts.sysctls)),
    endpoints,
    limits,
    ...(kernelEndpoints !== endpoints && { kernelEndpoints }),
    links,
    addresses,
    routes,
    rules,
    routeProbes,
    sockets: { listeners, plainListeners, plainConnections },
    connections,
    counters: new Named(Object.fromEntries(Object.entries(counters).filter(([, value]) => value !== 0))),
    growth: { seconds: growth.seconds, counters: new Named(growth.counters) },
    firewall,
    ...(daemon && { daemon }),
    lastMinutes,
  }) as Record<string, Json>;
}

function json(report: Report, place: Place, pretty: boolean): string {
  const { versions, findings, facts } = report;
  const head = machine({ versions, findings: findingsJson(findings, place), notLooked: facts.notLooked });
  return renderJson({ ...(head as Record<string, Json>), ...parts(report) }, pretty);
}

/** A report is read everywhere: no colours, no broken lines. */
const PLAIN = { paint: painter(false), width: Number.POSITIVE_INFINITY };

function markdown(report: Report, place: Place): string {
  const { versions, findings, facts } = report;
  const fence = (text: string, language = ""): string => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\n`;
  const said = findingsText(findings, place, PLAIN) + notLookedText(facts.notLooked, PLAIN);
  const head = Object.entries(versions).map(([name, version]) => `- ${name}: ${version}\n`);
  const sections = Object.entries(parts(report)).map(
    ([name, value]) => `\n## ${name}\n\n${fence(rows(value), "json")}`,
  );
  return `# Subflow report\n\n${head.join("")}\n## doctor\n\n${fence(said)}${sections.join("")}`;
}

/** JSON with one line for each entry of the outermost level: short enough to read, long enough to compare. */
function rows(value: unknown): string {
  if (Array.isArray(value))
    return value.length === 0 ? "[]" : `[\n${value.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{\n${fields.map(([key, field]) => `  ${JSON.stringify(key)}: ${JSON.stringify(field)}`).join(",\n")}\n}`;
}
