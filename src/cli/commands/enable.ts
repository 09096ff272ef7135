import {
  disableUnit,
  type EnabledUnit,
  enabledUnits,
  enableUnit,
  hostSystemd,
  type Systemd,
  unitName,
} from "../../programs/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { tableLines } from "../layout.ts";
import { parseOptions } from "../options.ts";

/** `enable`, `disable` and `enabled`. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const [verb] = context.command.words;
  if (verb === "enabled") return list(context);
  const [word] = words;
  if (word === undefined) throw missingArgument("UNIT");
  const unit = unitName(word);
  const systemd = hostSystemd();
  if (verb === "enable") enable(context, systemd, unit);
  else if (!disableUnit(systemd, unit)) {
    context.streams.err(`${unit} was not enabled: nothing to do.\n`);
    return EXIT.success;
  }
  restart(context, { systemd, unit, isNow: values.now !== undefined });
  return EXIT.success;
}

function enable({ streams }: Context, systemd: Systemd, unit: string): void {
  for (const note of enableUnit(systemd, unit)) streams.err(`Warning: ${note}.\n`);
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

function list({ global, streams }: Context): number {
  const units = enabledUnits(hostSystemd());
  if (global.json) streams.out(renderJson(machine(units), global.pretty));
  else if (units.length === 0) streams.err("No unit is enabled; `subflow enable UNIT` does it.\n");
  else {
    const rows = units.map(({ unit, how, state }) => [unit, how, MEANS[state]] as const);
    streams.out(`${tableLines(rows, streams.width).join("\n")}\n`);
  }
  return EXIT.success;
}
