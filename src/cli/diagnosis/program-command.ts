import { readFileSync, readlinkSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { diagnoseProgram, type Finding, type FixPlace, type ProgramFacts, worstLevel } from "../../doctor/index.ts";
import { readSysctl } from "../../netlink/index.ts";
import {
  cgroupPath,
  describeProgram,
  enabledRules,
  enabledUnits,
  findProgram,
  hostSystemd,
  listApps,
  obstacle,
  type SocketRule,
} from "../../programs/index.ts";
import { SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { machine, renderJson } from "../json.ts";
import { findingsJson, findingsText, summaryText } from "./text.ts";

/** comm of proc(5) has so many bytes. */
const COMM_MAX = 15;

type App = ReturnType<typeof listApps>["apps"][number];

/** `doctor COMMAND`: one program, from the kernel to its connections. */
export function examineProgram({ global, streams }: Context, name: string, showsAll: boolean): Finding["level"] {
  const findings = diagnoseProgram(programFacts(name, global.netns));
  const place: FixPlace = { netns: undefined, userspace: true, ipFlags: undefined };
  const level = worstLevel(findings);
  if (global.json) {
    const value = { level, findings: findingsJson(findings, place), notLooked: [], applied: [] };
    streams.out(renderJson(machine(value), global.pretty));
  } else {
    const shown = showsAll ? findings : findings.filter((each) => each.level !== "ok" || each.id === "program-mptcp");
    streams.out(findingsText(shown, place, streams));
    streams.out(summaryText(findings));
  }
  return level;
}

function programFacts(name: string, netns: string | undefined): ProgramFacts {
  const path = findProgram(name);
  const enabled = readSysctl("net.mptcp.enabled");
  const { apps, hidden } = listApps(netns);
  const running = apps.filter((app) => isOf(app, path));
  return {
    name,
    path,
    enabled: enabled === undefined ? undefined : enabled !== "0",
    obstacle: obstacle(describeProgram(path)),
    madeBy: [...rulesFor(running), ...unitsFor(running)],
    processes: running.filter(({ mptcp, tcp, fellBack, listens }) => {
      return mptcp + tcp + fellBack.length + listens.mptcp.length + listens.tcp.length > 0;
    }),
    hidden,
  };
}

/** By its file; a script has its interpreter's, and is known by its name. */
function isOf({ pid, name }: App, path: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/exe`) === realpathSync(path)) return true;
  } catch {
    // Of another user, or over: its name is all there is.
  }
  return name === basename(path).slice(0, COMM_MAX);
}

function rulesFor(running: readonly App[]): string[] {
  return (enabledRules() ?? []).flatMap((rule) => {
    if (rule.kind === "all") return ["a rule of the kernel for every program"];
    const isMeant = running.length > 0 && running.every((app) => isFor(rule, app));
    const whose = rule.kind === "user" ? `user ${rule.uid}` : `cgroup ${cgroupPath(rule) ?? rule.id}`;
    return isMeant ? [`a rule of the kernel for ${whose}`] : [];
  });
}

function isFor(rule: Exclude<SocketRule, { kind: "all" }>, { uid, pid }: App): boolean {
  if (rule.kind === "user") return uid === rule.uid;
  try {
    const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
    const path = cgroupPath(rule);
    return path !== undefined && `${own}/`.startsWith(`${path}/`);
  } catch {
    return false;
  }
}

function unitsFor(running: readonly App[]): string[] {
  const units = running.flatMap(({ unit }) => unit ?? []);
  if (units.length === 0) return [];
  try {
    const enabled = enabledUnits(hostSystemd()).filter(({ unit, state }) => units.includes(unit) && state !== "broken");
    return enabled.map(({ unit }) => `a drop-in of ${unit}`);
  } catch (error) {
    // No systemd here, so nothing that it would do.
    if (error instanceof SubflowError) return [];
    throw error;
  }
}
