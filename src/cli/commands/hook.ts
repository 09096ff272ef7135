import { readFileSync } from "node:fs";
import { type Change, changes } from "../../client/index.ts";
import type { Happening, Token, WatchedConnection } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, usageError, wrongArgument } from "../failure.ts";
import { happeningWords } from "../happening-words.ts";
import { HookRunner, type RunnerOptions } from "../hook/runner.ts";
import { Interfaces } from "../interfaces.ts";
import { machine, renderJson } from "../json.ts";
import { HumanMonitor } from "../monitor/human-monitor.ts";
import { parseOptions } from "../options.ts";
import { formatToken, tokenArgument } from "../words.ts";

const TIMEOUT = { default: 10, min: 0.1, max: 3600 } as const;
const JOBS = { default: 4, min: 1, max: 64 } as const;
/** Names of interfaces are read anew after so long. Milliseconds. */
const FRESH = 200;

/** `hook`: until SIGTERM or ^C; what runs then comes to its end. */
export async function run(context: Context): Promise<number> {
  const end = context.words.indexOf("--");
  const command = end < 0 ? [] : context.words.slice(end + 1);
  const [program, ...words] = command;
  const { values } = parseOptions({ ...context, words: end < 0 ? context.words : context.words.slice(0, end) });
  if (program === undefined) throw missingArgument("-- COMMAND");
  const { global, streams } = context;
  const wanted = wantedOf(values);
  const runner = new HookRunner({
    command: [program, ...words],
    user: userOption(values.user),
    timeout: numberOption(values.timeout, TIMEOUT) * 1000,
    jobs: Math.floor(numberOption(values.jobs, JOBS)),
    onTrouble: (text) => streams.err(`Warning: ${text}.\n`),
  });
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
  const names = new Names(context);
  const connections = new Map<Token, WatchedConnection>();
  const gone: Token[] = [];
  for await (const change of changes({ netns: global.netns, token: wanted.token, signal: stopped.signal })) {
    if (change.type === "connection") connections.set(change.connection.token, change.connection);
    if (change.type === "lost") streams.err(`Warning: ${change.count} events and decisions were too fast.\n`);
    if (change.type === "disconnected") streams.err(`Warning: ${change.error.message}; waiting for one.\n`);
    const happening = happeningOf(change);
    if (happening && isWanted(happening, wanted, names)) tell(happening, connections, names, runner);
    // Its end is told after it: then it is still known what it was.
    if (change.type === "gone") gone.push(change.token);
    if (change.type === "complete") for (const token of gone.splice(0)) connections.delete(token);
  }
  await runner.end();
  return EXIT.success;
}

/** What the command is told, as one line of JSON, and in its environment. */
function tell(
  happening: Happening,
  connections: ReadonlyMap<Token, WatchedConnection>,
  names: Names,
  runner: HookRunner,
): void {
  const { token, type } = happening;
  const connection = token === undefined ? undefined : connections.get(token);
  const dev = names.of(happening);
  const words = happeningWords(happening, (local, index) => names.interfaceOf(local, index));
  const input = renderJson(machine({ ...happening, interface: dev, words, connection }), false);
  const environment = {
    SUBFLOW_EVENT: type,
    ...(token !== undefined && token !== 0 && { SUBFLOW_TOKEN: formatToken(token) }),
    ...(dev !== undefined && { SUBFLOW_INTERFACE: dev }),
    SUBFLOW_WORDS: words,
  };
  runner.add(input, environment);
}

function happeningOf(change: Change): Happening | undefined {
  if (change.type === "event") return change.event;
  return change.type === "decision" ? change.decision : undefined;
}

/** Interfaces by name, also of what has lost its address just now. */
class Names {
  readonly #monitor: HumanMonitor;
  #interfaces: Interfaces;
  #readAt = 0;

  constructor({ global, streams }: Context) {
    this.#interfaces = new Interfaces(global);
    this.#monitor = new HumanMonitor(() => {
      if (Date.now() - this.#readAt > FRESH) {
        this.#interfaces = new Interfaces(global);
        this.#readAt = Date.now();
      }
      return this.#interfaces;
    }, streams);
  }

  get interfaceOf(): HumanMonitor["interfaceOf"] {
    return (local, index) => this.#monitor.interfaceOf(local, index);
  }

  of(happening: Happening): string | undefined {
    const local = happening.kind === "event" ? happening.path?.local : happening.local;
    const index = happening.kind === "event" ? happening.interfaceIndex : undefined;
    return local && this.interfaceOf(local, index);
  }
}

interface Wanted {
  /** Empty: all of them. */
  readonly types: ReadonlySet<string>;
  readonly token: Token | undefined;
  readonly interfaceName: string | undefined;
}

function wantedOf(values: Readonly<Record<string, string | undefined>>): Wanted {
  const types = (values.on ?? "").split(",").filter((type) => type !== "");
  const strange = types.find((type) => !/^[a-z]+\.[a-zA-Z]+$/.test(type));
  if (strange !== undefined)
    throw wrongArgument(strange, 'it is an event or a decision, as in "subflow.closed,connection.closed"');
  return {
    types: new Set(types),
    token: values.token === undefined ? undefined : tokenArgument(values.token),
    interfaceName: values.dev,
  };
}

function isWanted(happening: Happening, { types, interfaceName }: Wanted, names: Names): boolean {
  if (types.size > 0 && !types.has(happening.type)) return false;
  return interfaceName === undefined || names.of(happening) === interfaceName;
}

/** A command that is started by what others do on a network is not root's, unless somebody says so. */
function userOption(text: string | undefined): RunnerOptions["user"] {
  if (text === undefined) {
    if (process.geteuid?.() !== 0) return undefined;
    throw usageError(
      'Error: argument "--user" is required for root: the user that the command runs as ("--user nobody")',
    );
  }
  if (process.geteuid?.() !== 0) throw wrongArgument(text, "only root can run a command as another user");
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === text || (uid === text && uid !== "")) return { uid: Number(uid), gid: Number(gid) };
  }
  throw wrongArgument(text, "there is no such user in /etc/passwd");
}

function numberOption(text: string | undefined, { default: usual, min, max }: typeof TIMEOUT | typeof JOBS): number {
  const value = Number(text ?? usual);
  if (!(value >= min && value <= max)) throw wrongArgument(text ?? "", `${min} to ${max} is possible`);
  return value;
}
