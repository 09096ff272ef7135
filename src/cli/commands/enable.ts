import {
  cgroupPath,
  cgroupRule,
  disableRule,
  disableUnit,
  type EnabledUnit,
  enabledRules,
  enabledUnits,
  enableRule,
  enableUnit,
  hostSystemd,
  type SocketRule,
  type Systemd,
  UnitError,
  unitName,
} from "../../programs/index.ts";
import type { Context } from "../command.ts";
import { EXIT, usageError, wrongArgument } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { type Row, tableLines } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { localUsers } from "../users.ts";

/** `enable`, `disable` and `enabled`. */
export function run(context: Context): number {
  const [verb] = context.command.words;
  if (verb === "enabled") return list(context);
  const { values, words } = parseOptions(context);
  const targets = [words[0], values.all, values.user, values.cgroup].filter((each) => each !== undefined);
  if (targets.length !== 1) throw usageError(`Error: one of UNIT, --all, --user and --cgroup says what to ${verb}.`);
  if (words[0] === undefined) return ofRule(context, ruleOf(values));
  const unit = unitName(words[0]);
  const systemd = hostSystemd();
  if (verb === "enable") for (const note of enableUnit(systemd, unit)) context.streams.err(`Warning: ${note}.\n`);
  else if (!disableUnit(systemd, unit)) {
    context.streams.err(`${unit} was not enabled: nothing to do.\n`);
    return EXIT.success;
  }
  restart(context, { systemd, unit, isNow: values.now !== undefined });
  return EXIT.success;
}

function ruleOf({ user, cgroup }: Record<string, string | undefined>): SocketRule {
  if (cgroup !== undefined) return cgroupRule(cgroup);
  if (user === undefined) return { kind: "all" };
  const uid = localUsers().find(([name, number]) => user === name || user === `${number}`)?.[1] ?? Number(user);
  if (!Number.isInteger(uid) || user === "" || uid < 0 || uid > 0xffff_fffe)
    throw wrongArgument(user, "there is no such user in /etc/passwd; a number is possible, too");
  return { kind: "user", uid };
}

/** The kernel's own doing: at once, for sockets that are made from now on. */
function ofRule({ streams, command }: Context, rule: SocketRule): number {
  const who = describe(rule);
  if (command.words[0] === "disable") {
    if (disableRule(rule)) streams.out(`TCP is TCP again for ${who}, in sockets made from now on\n`);
    else streams.err(`${who}: was not enabled, nothing to do.\n`);
  } else if (enableRule(rule)) {
    streams.out(`TCP is MPTCP for ${who}, in sockets made from now on, until the machine starts anew\n`);
  } else streams.err(`${who}: is enabled already.\n`);
  return EXIT.success;
}

function describe(rule: SocketRule): string {
  switch (rule.kind) {
    case "all":
      return "every program";
    case "user":
      return `user ${nameOf(rule)}`;
    case "cgroup":
      return `cgroup ${nameOf(rule)}`;
  }
}

function nameOf(rule: SocketRule): string | undefined {
  if (rule.kind === "user") return localUsers().find(([, uid]) => uid === rule.uid)?.[0] ?? `${rule.uid}`;
  return rule.kind === "cgroup" ? (cgroupPath(rule) ?? `${rule.id}`) : undefined;
}

/** What runs goes on as it is: sockets that exist stay what they are. */
function restart(
  { streams, command }: Context,
  { systemd, unit, isNow }: { readonly systemd: Systemd; readonly unit: string; readonly isNow: boolean },
): void {
  const what = command.words[0] === "enable" ? "asks for MPTCP" : "asks for TCP again";
  const isActive = systemd.systemctl("show", "-P", "ActiveState", unit).trim() === "active";
  if (isActive && isNow) systemd.systemctl("restart", unit);
  const rest = isActive && !isNow ? ` from its next start on: systemctl restart ${unit}` : "";
  streams.out(`${unit} ${what}${rest}\n`);
}

const MEANS: Readonly<Record<EnabledUnit["state"], string>> = {
  active: "runs with it",
  inactive: "does not run",
  pending: "runs without it still: systemctl restart",
  broken: "the library is not there any more: subflow enable, once more, or subflow disable",
};

function list(context: Context): number {
  parseOptions(context);
  const { global, streams } = context;
  const rules = enabledRules();
  const units = unitsOfHost();
  if (global.json) {
    const ofKernel = (rules ?? []).map((rule) => ({
      rule: rule.kind,
      name: nameOf(rule),
      how: "kernel",
      state: stateOf(rule),
    }));
    streams.out(renderJson(machine([...units, ...ofKernel]), global.pretty));
  } else {
    const rows: Row[] = [
      ...units.map(({ unit, how, state }): Row => [unit, how, MEANS[state]]),
      ...(rules ?? []).map(
        (rule): Row => [describe(rule), "kernel", stateOf(rule) === "active" ? "holds" : "the cgroup is gone"],
      ),
    ];
    if (rows.length > 0) streams.out(`${tableLines(rows, streams.width).join("\n")}\n`);
    else if (rules) streams.err("Nothing is enabled; `subflow enable` does it.\n");
  }
  if (!rules) streams.err("What the kernel does is not shown: that is root's to see.\n");
  return EXIT.success;
}

function stateOf(rule: SocketRule): "active" | "inactive" {
  return rule.kind === "cgroup" && cgroupPath(rule) === undefined ? "inactive" : "active";
}

/** Where systemd does not run there are none. */
function unitsOfHost(): EnabledUnit[] {
  try {
    return enabledUnits(hostSystemd());
  } catch (error) {
    if (error instanceof UnitError) return [];
    throw error;
  }
}
