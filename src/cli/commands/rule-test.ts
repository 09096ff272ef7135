import { type Config, loadConfig, rulesAt, userId } from "../../config/index.ts";
import { explainRules, type Owner, type RuleFacts } from "../../engine/index.ts";
import { CgroupPaths, commandOf, hasSocket, processIds } from "../../host-facts/index.ts";
import {
  type Address,
  type Connection,
  parseAddress,
  type Side,
  type SocketAddress,
  unmap,
} from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument, wrongArgument } from "../failure.ts";
import type { GlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { type Json, machine, renderJson } from "../json.ts";
import { tableLines } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { withPathManager } from "../target.ts";
import { formatToken, parseSocketAddress, tokenArgument } from "../words.ts";

type Given = Readonly<Record<string, string | undefined>>;

/** What is asked about. */
interface Question {
  readonly facts: RuleFacts;
  readonly owner: Owner | undefined;
}

/** `rule test`: which rule a connection has, or would have, and why not the ones before. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const { global, streams } = context;
  const { config, files } = loadConfig(values.config);
  const { facts, owner } = words[0] === undefined ? described(values) : existing(words[0], global);
  const rules = rulesAt(config.rules, new Date());
  const reasons = explainRules(rules, facts, owner);
  const last = reasons.at(-1);
  const chosen = last?.reason === "" ? last.rule : "";
  const resting = sleeping(
    config,
    rules.map(({ name }) => name),
  );
  if (global.json) {
    const before = reasons.filter(({ reason }) => reason !== "");
    streams.out(renderJson(machine({ rule: chosen, before, otherTimes: resting }) as Json, global.pretty));
    return EXIT.success;
  }
  const from = files.length === 0 ? "no configuration" : files.join(", ");
  const rule = rules.find(({ name }) => name === chosen);
  const policy = rule?.policy ?? "";
  streams.out(
    chosen === "" ? `no rule matches (${from})\n` : `rule ${chosen}${policy === "" ? "" : `: policy ${policy}`}\n`,
  );
  const rows = [
    ...reasons.filter(({ reason }) => reason !== ""),
    ...resting.map((name) => ({ rule: name, reason: "it is not its time" })),
  ];
  for (const line of tableLines(
    rows.map(({ rule: name, reason }) => [`not ${name}`, "", reason] as const),
    streams.width,
  ))
    streams.out(`${line}\n`);
  return EXIT.success;
}

/** Rules whose time it is not. */
function sleeping({ rules }: Config, awake: readonly string[]): string[] {
  const names = rules.map(({ name }, index) => name ?? String(index + 1));
  return names.filter((name) => !awake.includes(name));
}

/** A connection as the options describe it. */
function described(values: Given): Question {
  if (values.remote === undefined) throw missingArgument("--remote");
  const side = (values.side ?? "client") as Side;
  if (side !== "client" && side !== "server") throw wrongArgument(side, "a side is client or server");
  const remote = endOf(values.remote);
  const local = values.local === undefined ? { address: "0.0.0.0" as Address, port: 0 } : endOf(values.local);
  return { facts: { side, initial: { local, remote }, interfaceName: values.interface }, owner: ownerOf(values) };
}

function endOf(text: string): SocketAddress {
  const end = parseSocketAddress(text);
  if (!end || parseAddress(end.address) === undefined)
    throw wrongArgument(text, "an address, with a port: 10.1.2.3:443, [2001:db8::1]:443");
  return end;
}

function ownerOf({ user, unit, cgroup, command }: Given): Owner | undefined {
  if (user === undefined && unit === undefined && cgroup === undefined && command === undefined) return undefined;
  const uid = user === undefined ? -1 : userId(user);
  if (uid === undefined) throw wrongArgument(user ?? "", "this host knows no such user");
  return {
    socket: { uid, cgroup: cgroup ?? (unit === undefined ? undefined : `/system.slice/${unit}`) },
    command: command ?? null,
  };
}

/** One that there is. */
function existing(word: string, global: GlobalOptions): Question {
  const token = tokenArgument(word);
  const connection = withPathManager(global, (pm) => pm.connection(token));
  if (!connection) throw failure(`Error: no connection has the token ${formatToken(token)}.`);
  const { path, side } = connection;
  const interfaces = new Interfaces(global);
  const holder = interfaces.holder(unmap(path.local.address));
  const interfaceName = holder === undefined ? undefined : interfaces.name(holder);
  return { facts: { side: side ?? "client", initial: path, interfaceName }, owner: whose(connection) };
}

function whose({ uid, inode, cgroup }: Connection): Owner {
  const pid = processIds().find((each) => inode !== 0 && hasSocket(each, inode) === true);
  const path = cgroup === undefined ? undefined : new CgroupPaths().pathOf(cgroup);
  return { socket: { uid, cgroup: path }, command: (pid === undefined ? undefined : commandOf(pid)) ?? null };
}
