import { setFlagsFromString } from "node:v8";
import { type Command, type EndpointRequest, Engine } from "../../engine/index.ts";
import type { MptcpPm, Rtnl } from "../../netlink/index.ts";
import { policies } from "../../policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis, MPTCP_EVENT, type MptcpEvent } from "../../types/index.ts";
import { beginMessage, decodeEvent, eachMessage, endMessage, Writer } from "../../wire/index.ts";
import { Driver } from "../driver.ts";
import { KernelPort } from "../kernel-port.ts";
import { PortListeners } from "../listeners.ts";
import { translateBatch } from "../translate.ts";

/** V8 compiles what was called some thousand times: as many connections as make the first real one no slower than later ones. */
const LIVES = 600;
const ENGINES = 3;

/** Connections that lose a link together, and how often: as many as make the first loss of a daemon's life hardly slower than later ones. */
const CROWD = 16;
const LOSSES = 16;

/**
 * Leads made-up connections through everything that stands between an event and its command, except the kernel: decoder,
 * engine, policy, encoder. The second subflow of the daemon's first connections waits for V8's compiler otherwise, and so do
 * thousands of connections at its first lost link. A step a life, or a loss.
 */
export function* warmUp(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string): Generator<void> {
  // V8 throws away what was compiled and is not called for some collections of garbage, such as what a lost link takes.
  setFlagsFromString("--no-flush-bytecode");
  // Code that was compiled for the one engine it had seen would not serve the real one.
  for (let engine = 0; engine < ENGINES; engine++) {
    yield* lead(pm, rtnl, now, policy, LIVES);
    yield* lose(pm, rtnl, now, policy);
  }
}

/** The same with so many connections, of a throw-away engine, at once. */
export function rehearse(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string, lives: number): void {
  for (const _life of lead(pm, rtnl, now, policy, lives));
}

function* lead(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string, lives: number): Generator<void> {
  using stage = new Stage(pm, rtnl, now, policy, [ENDPOINT]);
  for (let life = 1; life <= lives; life++) {
    for (const types of life % 2 === 0 ? APART : TOGETHER) stage.tell(types, life);
    // A whole life: nothing is left that a timer would ask the kernel about.
    yield;
  }
}

/** The link that connections began on is lost, and comes back. */
function* lose(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string): Generator<void> {
  using stage = new Stage(pm, rtnl, now, policy, [ENDPOINT, FIRST]);
  const lives = Array.from({ length: CROWD }, (_, nth) => nth + 1);
  for (let loss = 0; loss < LOSSES; loss++) {
    for (const life of lives) {
      stage.tell([CREATED, ESTABLISHED], life);
      stage.tell([SUB_ESTABLISHED], life);
      yield;
    }
    stage.command({ type: "endpoint.delete", id: FIRST.id, isLoss: true });
    stage.command({ type: "limits.set", subflows: loss % 2 });
    yield;
    stage.command({ type: "limits.set", subflows: LIMITS.subflows });
    stage.command({ type: "endpoint.add", ...FIRST });
    yield;
    if (loss < LOSSES - 1) for (const life of lives) stage.tell([CLOSED], life);
  }
  SPECIMENS.add(stage);
}

/** V8 forgets what objects look like of which there is none any more, and with it the code that was compiled for them. */
const SPECIMENS = new Set<Stage>();

/** An engine with all that stands between it and the kernel. */
class Stage implements Disposable {
  readonly #driver: Driver;
  readonly #listeners: PortListeners;
  readonly #events = new Writer();

  constructor(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string, endpoints: readonly EndpointRequest[]) {
    const engine = new Engine({ policies });
    engine.handle({ type: "config.changed", endpoints, limits: LIMITS, policy }, now());
    this.#listeners = new PortListeners(pm);
    const sent = new Writer();
    const port = new KernelPort({
      pm,
      rtnl,
      listeners: this.#listeners,
      execute: (requests) => {
        sent.reset();
        for (const request of requests) request.write(sent);
        return requests.map(() => undefined);
      },
      onAnswer: () => undefined,
      onReport: () => undefined,
      onAsk: () => undefined,
      onOwner: () => undefined,
    });
    this.#driver = new Driver(engine, { run: (actions) => port.run(actions), now, trace: undefined });
  }

  [Symbol.dispose](): void {
    this.#driver[Symbol.dispose]();
    this.#listeners[Symbol.dispose]();
  }

  /** What comes in one wake-up of the kernel's. */
  tell(types: readonly number[], life: number): void {
    const events = this.#events;
    events.reset();
    for (const type of types) writeEvent(events, type, (life * SPREAD) >>> 0);
    const batch: MptcpEvent[] = [];
    eachMessage(events.bytes, 0, events.length, (header) => batch.push(decodeEvent(events.bytes, header)));
    this.#driver.handleAll(translateBatch(batch));
  }

  command(command: Command): void {
    this.#driver.handle({ type: "command.received", request: 0, command });
  }
}

const { CREATED, ESTABLISHED, SUB_ESTABLISHED, CLOSED } = MPTCP_EVENT;
/** What comes in one wake-up: a slow network, and a fast one. */
const APART = [[CREATED], [ESTABLISHED], [SUB_ESTABLISHED], [CLOSED]];
const TOGETHER = [[CREATED, ESTABLISHED], [SUB_ESTABLISHED], [CLOSED]];
/** Tokens are random over 32 bits: code compiled for small ones would be thrown away again (Knuth's multiplier). */
const SPREAD = 2654435761;

const LIMITS = { subflows: 2, addAddrAccepted: 0 };
const ENDPOINT = { address: "10.0.2.1" as Address, flags: ENDPOINT_FLAG.subflow };
/** Where they begin. */
const FIRST = { address: "10.0.1.1" as Address, id: 7, flags: ENDPOINT_FLAG.subflow };

const PATH = "0600020002000000080005000a000101080007000a00010206000900d650000006000a0013890000";
const JOINED = "0600020002000000080005000a000201080007000a000202060009008a0b000006000a0013890000";
const IDS = "05000300000000000500040000000000";
/** It has the endpoint's id: what is withdrawn with the initial address leaves it alone. */
const JOINED_IDS = "05000300010000000500040000000000";
/** As Linux 6.18 sends them: objects whose attributes came in another order are of another shape to V8. */
export const MADE_UP: ReadonlyMap<number, Uint8Array> = new Map([
  [CREATED, event(`010100000800010000000000${PATH}${IDS}`)],
  [ESTABLISHED, event(`020100000800010000000000${PATH}${IDS}`)],
  [SUB_ESTABLISHED, event(`0a0100000800010000000000${JOINED}${JOINED_IDS}05000b0000000000`)],
  [CLOSED, event("030100000800010000000000")],
]);
/** Of the token, behind genlmsghdr and the attribute's header. */
const TOKEN_AT = 8;

function event(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function writeEvent(writer: Writer, type: number, token: number): void {
  const start = beginMessage(writer, 0, 0, 0);
  const from = writer.length;
  writer.append(MADE_UP.get(type) ?? []);
  writer.putU32(from + TOKEN_AT, token);
  endMessage(writer, start);
}
