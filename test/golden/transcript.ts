import { type Action, CONFIG_REQUEST, Engine, type EngineEvent } from "../../src/engine/index.ts";
import { policies } from "../../src/policies/index.ts";
import {
  type Address,
  ENDPOINT_FLAG,
  ERRNO,
  type ErrnoName,
  type Path,
  type SocketAddress,
} from "../../src/types/index.ts";

/**
 * Plays a transcript and returns it with the actions that the engine gives now.
 *
 * A line is `<time> <event> <key>=<value>...`; below it the engine's actions, each `  -> <id> <action> ...`. What is done with an
 * action is `<time> done <id> ...` or `<time> failed <id> <errno> <text>`; one that is not mentioned stays open. Words stand for
 * themselves, `a:p>b:q` is a path, `flags=signal+subflow` is a sum, lines with `#` and empty lines are kept.
 */
export function play(transcript: string): string {
  const engine = new Engine({ policies });
  const actions = new Map<number, Action>();
  const lines: string[] = [];
  let now = 0;
  for (const line of transcript.split("\n")) {
    if (line.startsWith("  -> ") || line.startsWith("  why ")) continue;
    lines.push(line);
    if (line === "" || line.startsWith("#")) continue;
    const [time = "", word = "", ...rest] = line.split(" ");
    now = Number(time);
    if (word === "why") {
      for (const left of engine.why(Number(rest[0]), 0)?.leftOut ?? []) {
        lines.push(`  why ${left.what} ${left.id} ${left.address}: ${left.reason} (${left.remedy})`);
      }
      continue;
    }
    for (const action of engine.handle(toEvent(word, rest, actions), now)) {
      actions.set(action.id, action);
      lines.push(`  -> ${formatAction(action)}`);
    }
  }
  return lines.join("\n");
}

function toEvent(word: string, rest: string[], actions: Map<number, Action>): EngineEvent {
  if (word === "done" || word === "failed") {
    const action = actions.get(Number(rest[0]));
    if (!action) throw new Error(`no action ${rest[0]}`);
    if (word === "done") return { type: "action.done", action, ...fields(rest.slice(1)) } as EngineEvent;
    const errno = ERRNO[rest[1] as ErrnoName];
    return { type: "action.failed", action, errno, message: rest.slice(2).join(" ") };
  }
  const values = fields(rest);
  const command = /^(endpoint|limits)\./.test(word);
  if (command) return { type: "command.received", request: 1, command: { type: word, ...values } } as EngineEvent;
  return { type: word, ...values } as EngineEvent;
}

function fields(words: string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.map((word) => {
      const [key = "", value = ""] = word.split(/=(.*)/s);
      return [key, parseValue(key, value)];
    }),
  );
}

function parseValue(key: string, value: string): unknown {
  if (key === "flags") {
    return value.split("+").reduce((sum, name) => sum + (ENDPOINT_FLAG[name as keyof typeof ENDPOINT_FLAG] ?? 0), 0);
  }
  if (key === "path") {
    const [local = "", remote = ""] = value.split(">");
    return { local: parseEnd(local), remote: parseEnd(remote) } satisfies Path;
  }
  if (value === "true" || value === "false") return value === "true";
  if (value.startsWith("[") || value.startsWith("{")) return JSON.parse(value);
  return /^\d+$/.test(value) ? Number(value) : value;
}

function parseEnd(text: string): SocketAddress {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/[[\]]/g, "") as Address, port: Number(text.slice(colon + 1)) };
}

const formatEnd = ({ address, port }: SocketAddress): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const formatPath = ({ local, remote }: Path): string => `${formatEnd(local)}>${formatEnd(remote)}`;

function formatAction({ id, type, ...facts }: Action): string {
  const words = Object.entries(facts).map(([key, value]) => {
    if (key === "path") return `path=${formatPath(value as Path)}`;
    if (key === "subflows")
      return `subflows=${(value as { path: Path }[]).map(({ path }) => formatPath(path)).join(",")}`;
    if (key === "local" || key === "remote") return `${key}=${formatEnd(value as SocketAddress)}`;
    if (key === "request" && value === CONFIG_REQUEST) return "request=config";
    return `${key}=${typeof value === "string" && value.includes(" ") ? JSON.stringify(value) : value}`;
  });
  return [id, type, ...words].join(" ");
}
