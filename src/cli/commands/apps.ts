import { listApps } from "../../programs/index.ts";
import { appsJson, appsText, hasUse } from "../apps-text.ts";
import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { localUsers } from "../users.ts";

/** `apps`. */
export function run(context: Context): number {
  const { values } = parseOptions(context);
  const { global, streams } = context;
  const found = listApps(global.netns);
  if (global.json) {
    streams.out(renderJson(appsJson(found), global.pretty));
    return EXIT.success;
  }
  const isShown = (use: Parameters<typeof hasUse>[0]): boolean => values.all !== undefined || hasUse(use);
  const [apps, others] = [found.apps.filter(isShown), found.others.filter(isShown)];
  if (apps.length + others.length > 0) streams.out(appsText({ apps, others }, { userName: userNames(), streams }));
  else streams.err("No program has a TCP or MPTCP socket here.\n");
  const left = [...found.apps, ...found.others].length - apps.length - others.length;
  if (left > 0) streams.err(`Left out: ${left} that use the loopback only; --all shows them.\n`);
  // With hidepid (proc(5)) they are not even counted.
  if (others.length > 0 && (found.hidden > 0 || process.geteuid?.() !== 0)) {
    const count = found.hidden > 0 ? `${found.hidden} processes` : "Processes";
    streams.err(`${count} of others may not be looked at: root sees which program has what.\n`);
  }
  return EXIT.success;
}

/** A user from elsewhere is a number. */
function userNames(): (uid: number) => string {
  const names = new Map(localUsers().map(([name, uid]) => [uid, name]));
  return (uid) => names.get(uid) ?? `${uid}`;
}
