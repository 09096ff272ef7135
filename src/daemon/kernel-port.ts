import type { Action, EngineEvent, OwnerQuery, PolicyAsk, PolicyReport } from "../engine/index.ts";
import type { MptcpPm, NetlinkClient, NetlinkError, Request, Rtnl } from "../netlink/index.ts";
import { ERRNO, unreachable } from "../types/index.ts";
import type { PortListeners } from "./listeners.ts";
import { observeAll, observeOne } from "./observe.ts";
import { SentAhead } from "./sent-ahead.ts";

/** Who gets the answers of commands; everything else comes back as events. */
export interface KernelPortOptions {
  readonly pm: MptcpPm;
  readonly rtnl: Rtnl;
  readonly listeners: PortListeners;
  /** Sends commands together: the client's own `executeAll`, except in a rehearsal. */
  readonly execute: NetlinkClient["executeAll"];
  readonly onAnswer: (request: number, errno: number, message: string) => void;
  readonly onReport: (report: PolicyReport) => void;
  /** A policy in another process is asked, which answers later. */
  readonly onAsk: (question: PolicyAsk) => void;
  /** Whose connection is it? @returns undefined: it will be told later */
  readonly onOwner: (query: OwnerQuery) => EngineEvent | undefined;
}

/**
 * Runs the engine's actions on the real kernel. Netlink commands that stand together go out in one send(2), so that nothing
 * of the peer can come between a REMOVE and its DESTROY; all outcomes are known when {@link run} returns.
 */
export class KernelPort {
  readonly #options: KernelPortOptions;
  readonly #requests: Request[] = [];
  readonly #actions: Action[] = [];
  /** To be filled before the engine hears of the events that were answered ahead. */
  readonly ahead = new SentAhead();

  constructor(options: KernelPortOptions) {
    this.#options = options;
  }

  /** @returns the outcomes, to be handed back to the engine, in the order of the actions */
  run(actions: readonly Action[]): EngineEvent[] {
    const outcomes: EngineEvent[] = [];
    for (const action of actions) {
      const request = netlinkRequest(this.#options.pm, action);
      const sent =
        request && !this.ahead.isEmpty && "token" in action ? this.ahead.take(action.token, request) : undefined;
      if (sent) {
        this.#flush(outcomes);
        outcomes.push(outcomeOf(action, sent.error));
        continue;
      }
      if (request) {
        this.#requests.push(request);
        this.#actions.push(action);
        continue;
      }
      this.#flush(outcomes);
      const outcome = this.#runHere(action);
      if (outcome) outcomes.push(outcome);
    }
    this.#flush(outcomes);
    return outcomes;
  }

  #flush(outcomes: EngineEvent[]): void {
    if (this.#requests.length === 0) return;
    const errors = this.#options.execute(this.#requests);
    for (const [index, action] of this.#actions.entries()) outcomes.push(outcomeOf(action, errors[index]));
    this.#requests.length = 0;
    this.#actions.length = 0;
  }

  #runHere(action: Action): EngineEvent | undefined {
    const { pm, listeners, onAnswer, onAsk, onOwner, onReport } = this.#options;
    switch (action.type) {
      case "route.query":
        return this.#queryRoute(action);
      case "listener.open":
        return listenerOutcome(action, listeners.open(action.local));
      case "listener.close":
        return listenerOutcome(action, listeners.close(action.local));
      case "connection.inspect":
        return { type: "connection.observed", token: action.token, observed: observeOne(pm, action) };
      case "kernel.resync":
        return { type: "kernel.snapshot", connections: observeAll(pm) };
      case "command.answer":
        onAnswer(action.request, action.errno, action.message);
        return undefined;
      case "policy.report":
        onReport(action);
        return undefined;
      case "policy.ask":
        onAsk(action);
        return undefined;
      case "owner.query":
        return onOwner(action);
      case "subflow.create":
      case "subflow.destroy":
      case "subflow.setBackup":
      case "address.announce":
      case "address.remove":
        throw new Error(`${action.type} goes by netlink`);
      default:
        return unreachable(action);
    }
  }

  #queryRoute(action: Action & { type: "route.query" }): EngineEvent {
    const route = this.#options.rtnl.routeTo(action.remote.address);
    if (route?.preferredSource === undefined) {
      return { type: "action.failed", action, errno: ERRNO.ENETUNREACH, message: "" };
    }
    return { type: "action.done", action, source: route.preferredSource };
  }
}

/** MPTCP_PM_ADDR_FLAG_BACKUP. */
const BACKUP = 4;

/** The netlink request of an action; undefined: it is carried out otherwise. */
export function netlinkRequest(pm: MptcpPm, action: Action): Request | undefined {
  switch (action.type) {
    case "subflow.create":
      return pm.createSubflowRequest({
        token: action.token,
        local: {
          address: action.local.address,
          port: action.local.port,
          id: action.localId,
          interfaceIndex: action.interfaceIndex,
          backup: action.backup,
        },
        remote: { address: action.remote.address, port: action.remote.port, id: action.remoteId },
      });
    case "subflow.destroy":
      return pm.destroySubflowRequest(action);
    case "subflow.setBackup":
      return pm.setBackupRequest(action);
    case "address.announce":
      return pm.announceRequest({
        token: action.token,
        address: action.address,
        id: action.localId,
        port: action.port,
        flags: action.backup ? BACKUP : 0,
      });
    case "address.remove":
      return pm.removeRequest({ token: action.token, id: action.localId });
    default:
      return undefined;
  }
}

function outcomeOf(action: Action, error: NetlinkError | undefined): EngineEvent {
  if (!error) return { type: "action.done", action };
  return { type: "action.failed", action, errno: error.errno, message: error.kernelMessage ?? "" };
}

function listenerOutcome(action: Action, errno: number): EngineEvent {
  return errno === 0 ? { type: "action.done", action } : { type: "action.failed", action, errno, message: "" };
}
