import { Client, changes } from "../../client/index.ts";
import type { Decision, MptcpEvent, Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, isBrokenPipe, usageError, wrongArgument } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { decisionJson, decisionLine } from "../monitor/decisions.ts";
import { HumanMonitor } from "../monitor/human-monitor.ts";
import { kernelHappening } from "../monitor/kernel-happening.ts";
import { eventJson, eventLine } from "../monitor/monitor-text.ts";
import { type KernelListener, Sources, type SourcesOptions } from "../monitor/sources.ts";
import { parseOptions } from "../options.ts";
import { openPathManager } from "../target.ts";
import { tokenArgument } from "../words.ts";

/** `monitor [ events | decisions ]`: runs until SIGINT or SIGTERM, which end it with status 0, as in iproute2. */
export function run(context: Context): Promise<number> {
  const wanted = wantedOf(context);
  // Whether there is anything to be heard at all.
  openPathManager(context.global).close();
  const stopped = new AbortController();
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => {
      clearInterval(waiting);
      stopped.abort();
      outcome();
    };
    const fail = (error: unknown): void =>
      finish(() => (isBrokenPipe(error) ? resolve(EXIT.brokenPipe) : reject(error)));
    // Without a subscription and a daemon nothing else keeps it waiting.
    const waiting = setInterval(() => undefined, 1 << 30);
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => finish(() => resolve(EXIT.success)));
    new Sources(sourcesOf(context, wanted, fail)).run(stopped.signal).catch(fail);
  });
}

/** Where events and decisions come from, and where they go; what a callback throws ends it all. */
function sourcesOf(context: Context, wanted: Wanted, fail: (error: unknown) => void): SourcesOptions {
  const { global, streams } = context;
  const printed = printer(context, wanted);
  const guarded =
    <T extends unknown[]>(work: (...values: T) => void) =>
    (...values: T): void => {
      try {
        work(...values);
      } catch (error) {
        fail(error);
      }
    };
  const { netns } = global;
  return {
    netns,
    token: wanted.token,
    events: wanted.events,
    decisions: wanted.decisions,
    follow: changes,
    listen: (onEvent, onOverrun) => listen(context, onEvent, onOverrun),
    now: () => Date.now(),
    onEvent: guarded(printed.event),
    onDecision: guarded(printed.decision),
    onLost: guarded((count) => {
      const what = count === undefined ? "events" : `${count} events or decisions`;
      streams.err(`Warning: ${what} came faster than they could be read; they are lost.\n`);
      if (wanted.isHuman && count !== undefined) void sayWhatThereIs(context, guarded);
    }),
    onSource: guarded((text, isFirst) => {
      // Who reads what iproute2 would print is told of changes only.
      if (wanted.isHuman || !isFirst) streams.err(`${isFirst ? "Note" : "Warning"}: ${text}.\n`);
    }),
  };
}

function listen({ global }: Context, ...[onEvent, onOverrun]: Parameters<SourcesOptions["listen"]>): KernelListener {
  const manager = openPathManager(global);
  try {
    const subscription = manager.watch(onEvent, onOverrun);
    return {
      close: () => {
        subscription.close();
        manager.close();
      },
    };
  } catch (error) {
    manager.close();
    throw error;
  }
}

/** After a loss: how things are now. A daemon that is gone meanwhile says so by itself. */
async function sayWhatThereIs({ global, streams }: Context, guarded: (work: () => void) => () => void): Promise<void> {
  const there = await new Client({ netns: global.netns }).hello().catch(() => undefined);
  // Other users are not told how many there are.
  if (there?.connections !== undefined)
    guarded(() => streams.err(`Now there are ${there.connections} connections.\n`))();
}

interface Wanted {
  readonly events: boolean;
  readonly decisions: boolean;
  readonly token: Token | undefined;
  readonly interfaceName: string | undefined;
  readonly isHuman: boolean;
}

function wantedOf(context: Context): Wanted {
  const { values, words } = parseOptions(context);
  const [what, more] = words;
  if (more !== undefined) throw usageError(`Command "${more}" is unknown, try "subflow help".`);
  if (what !== undefined && what !== "events" && what !== "decisions")
    throw usageError(`Command "${what}" is unknown, try "subflow help".`);
  const token = values.token === undefined ? undefined : tokenArgument(values.token);
  const isHuman = values.human !== undefined;
  if (isHuman && context.global.json) throw wrongArgument("--human", "JSON is for programs; leave one of both out");
  return {
    events: what !== "decisions",
    decisions: what !== "events",
    token,
    interfaceName: values.dev,
    isHuman,
  };
}

/** Milliseconds. */
const FRESH = 100;

/** What prints events and decisions, those that are wanted. */
function printer({ global, streams }: Context, { token, interfaceName, isHuman }: Wanted) {
  // Interfaces come and go while this runs: their names are read anew for an event that carries one.
  let interfaces = new Interfaces(global);
  let readAt = 0;
  const human = new HumanMonitor(() => interfaces, streams);
  const isMeant = (of: Token | undefined): boolean => token === undefined || of === token;
  return {
    event(event: MptcpEvent, time: number): void {
      if (!isMeant(event.token)) return;
      // In words every event asks for them: read so often that nobody sees a difference.
      if (!isHuman || Date.now() - readAt > FRESH) {
        interfaces = new Interfaces(global);
        readAt = Date.now();
      }
      const happening = kernelHappening(event, performance.now());
      if (interfaceName !== undefined) {
        const { path, interfaceIndex } = happening;
        const isThere = path !== undefined && human.interfaceOf(path.local, interfaceIndex) === interfaceName;
        if (!isThere) return;
      }
      const name = (index: number): string => interfaces.name(index);
      if (isHuman) streams.out(human.lines(happening, time));
      else streams.out(global.json ? renderJson(eventJson(event, name), false) : eventLine(event, name, streams.paint));
    },
    decision(decision: Decision, time: number): void {
      if (!isMeant(decision.token)) return;
      if (interfaceName !== undefined) {
        const name = decision.local && human.interfaceOf(decision.local, undefined);
        if (name !== interfaceName) return;
      }
      if (isHuman) streams.out(human.lines(decision, time));
      else streams.out(global.json ? renderJson(decisionJson(decision), false) : decisionLine(decision, streams.paint));
    },
  };
}
