import type { Decision, MptcpEvent, Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { decisionJson, decisionLine, followDecisions } from "../decisions.ts";
import { EXIT, isBrokenPipe, usageError, wrongArgument } from "../failure.ts";
import { HumanMonitor } from "../human-monitor.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { kernelHappening } from "../kernel-happening.ts";
import { eventJson, eventLine } from "../monitor-text.ts";
import { parseOptions } from "../options.ts";
import { openPathManager } from "../target.ts";
import { tokenArgument } from "../words.ts";

/** `monitor [ events | decisions ]`: runs until SIGINT or SIGTERM, which end it with status 0, as in iproute2. */
export function run(context: Context): Promise<number> {
  const { global, streams } = context;
  const wanted = wantedOf(context);
  const printed = printer(context, wanted);
  const manager = openPathManager(global);
  const stopped = new AbortController();
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => {
      stopped.abort();
      subscription?.close();
      manager.close();
      outcome();
    };
    const fail = (error: unknown): void =>
      finish(() => (isBrokenPipe(error) ? resolve(EXIT.brokenPipe) : reject(error)));
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        fail(error);
      }
    };
    const overrun = (): void =>
      guarded(() => streams.err("Warning: events came faster than they could be read; some are lost.\n"));
    const subscription = wanted.events
      ? manager.watch((event) => guarded(() => printed.event(event)), overrun)
      : undefined;
    if (wanted.decisions) {
      const decision = (each: Decision): void => guarded(() => printed.decision(each));
      const lost = (count: number): void =>
        guarded(() => streams.err(`Warning: ${count} decisions came faster than they could be read.\n`));
      followDecisions(global.netns, { decision, lost }, stopped.signal).catch(fail);
    }
    // Without a subscription and a daemon nothing else keeps it waiting.
    const waiting = setInterval(() => undefined, 1 << 30);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () =>
        finish(() => {
          clearInterval(waiting);
          resolve(EXIT.success);
        }),
      );
    }
  });
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
    event(event: MptcpEvent): void {
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
      if (isHuman) streams.out(human.lines(happening, Date.now()));
      else streams.out(global.json ? renderJson(eventJson(event, name), false) : eventLine(event, name, streams.paint));
    },
    decision(decision: Decision): void {
      if (!isMeant(decision.token)) return;
      if (interfaceName !== undefined) {
        const name = decision.local && human.interfaceOf(decision.local, undefined);
        if (name !== interfaceName) return;
      }
      if (isHuman) streams.out(human.lines(decision, Date.now()));
      else streams.out(global.json ? renderJson(decisionJson(decision), false) : decisionLine(decision, streams.paint));
    },
  };
}
