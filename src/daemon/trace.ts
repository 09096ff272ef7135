import type { Action, EngineEvent } from "../engine/index.ts";
import { formatSocketAddress } from "../types/index.ts";

/** The token of an event or action, as it is printed everywhere. */
export function tokenOf(entry: object): { token?: string } {
  return "token" in entry ? { token: (entry.token as number).toString(16).padStart(8, "0") } : {};
}

/** One readable line for an event or an action: its name and what it is about. */
export function describe(entry: EngineEvent | Action): string {
  const words: string[] = [entry.type];
  if ("path" in entry)
    words.push(`${formatSocketAddress(entry.path.local)} > ${formatSocketAddress(entry.path.remote)}`);
  if ("local" in entry) words.push(formatSocketAddress(entry.local));
  if ("remote" in entry) words.push(`> ${formatSocketAddress(entry.remote)}`);
  if ("address" in entry) words.push(entry.address);
  if ("localId" in entry) words.push(`id ${entry.localId}`);
  if ("remoteId" in entry) words.push(`remote id ${entry.remoteId}`);
  if ("command" in entry) words.push(entry.command.type);
  if (entry.type === "action.failed") words.push(`${entry.action.type}: errno ${entry.errno} ${entry.message}`);
  if (entry.type === "action.done") words.push(entry.action.type);
  if (entry.type === "command.answer" && entry.errno !== 0) words.push(`errno ${entry.errno} ${entry.message}`);
  if (entry.type === "policy.report") words.push(`${entry.policy}: ${entry.reason}`);
  return words.join(" ");
}
