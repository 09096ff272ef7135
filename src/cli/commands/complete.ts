import { readdirSync, readFileSync } from "node:fs";
import { parseTopology } from "../../lab/index.ts";
import { formatSocketAddress, unmap } from "../../types/index.ts";
import type { Command, Context } from "../command.ts";
import { complete, type Look } from "../complete.ts";
import { EXIT } from "../failure.ts";
import { type GlobalOptions, takeGlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { nounsOf } from "../resolve.ts";
import { withEndpointTable, withPathManager } from "../target.ts";
import { formatToken, parseToken } from "../words.ts";

/** Begins the line that says that files may stand there too: no word has a blank. */
const FILES = ":files ";

/** `__complete -- WORD...`: one candidate a line, for the scripts of `completion`. Whatever goes wrong, the shell goes on. */
export async function run({ table, words, streams }: Context): Promise<number> {
  const line = words[0] === "--" ? words.slice(1) : words;
  const { words: found, files } = complete(table, line, await lookOf(table, line));
  streams.out([...(files ? [FILES] : []), ...found].map((word) => `${word}\n`).join(""));
  return EXIT.success;
}

function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}

async function lookOf(table: readonly Command[], line: readonly string[]): Promise<Look> {
  const global: GlobalOptions = orNothing(() => takeGlobalOptions(line).global, takeGlobalOptions([]).global);
  const interfaces = new Interfaces(global);
  // The one thing that a daemon may have to be asked for; everything else is read when it is wanted.
  const isWanted = line.some((word) => ["id", "--id", "change", "add", "show", "delete"].includes(word));
  const endpoints = isWanted ? await withEndpointTable(global, (table) => table.endpoints()).catch(() => []) : [];
  const policies =
    line[0] === "policy" ? (await import("../../policies/index.ts")).policies.map(({ name }) => name) : [];
  return {
    commands: () => nounsOf(table),
    tokens: () =>
      orNothing(() => withPathManager(global, (pm) => pm.connections().map(({ token }) => formatToken(token))), []),
    interfaces: () => orNothing(() => interfaces.names(), []),
    addresses: () => orNothing(() => interfaces.addresses(), []),
    endpoints: () => endpoints,
    connection: (token) => orNothing(() => endsOf(global, token), { locals: [], remotes: [], announced: [] }),
    policies: () => policies,
    netns: () => orNothing(() => readdirSync("/run/netns"), []),
    hosts: (file) => orNothing(() => Object.keys(parseTopology(readFileSync(file, "utf8"), file).hosts), []),
  };
}

function endsOf(global: GlobalOptions, text: string): ReturnType<Look["connection"]> {
  const token = parseToken(text);
  const connection = token === undefined ? undefined : withPathManager(global, (pm) => pm.connection(token));
  const { subflows = [], localAddresses = [] } = connection ?? {};
  return {
    locals: subflows.flatMap(({ path: { local } }) => [unmap(local.address), formatSocketAddress(local)]),
    remotes: subflows.flatMap(({ path: { remote } }) => [unmap(remote.address), formatSocketAddress(remote)]),
    announced: (localAddresses ?? []).flatMap(({ id, address }) => [String(id), address]),
  };
}
