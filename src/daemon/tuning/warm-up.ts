import { Engine } from "../../engine/index.ts";
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

/**
 * Leads made-up connections through everything that stands between an event and its command, except the kernel: decoder,
 * engine, policy, encoder. The second subflow of the daemon's first connections waits for V8's compiler otherwise. A step a life.
 */
export function* warmUp(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string): Generator<void> {
  // Code that was compiled for the one engine it had seen would not serve the real one.
  for (let engine = 0; engine < ENGINES; engine++) yield* lead(pm, rtnl, now, policy, LIVES);
}

/** The same with so many connections, of a throw-away engine, at once. */
export function rehearse(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string, lives: number): void {
  for (const _life of lead(pm, rtnl, now, policy, lives));
}

function* lead(pm: MptcpPm, rtnl: Rtnl, now: () => Millis, policy: string, lives: number): Generator<void> {
  const engine = new Engine({ policies });
  const limits = { subflows: 2, addAddrAccepted: 0 };
  engine.handle({ type: "config.changed", endpoints: [ENDPOINT], limits, policy }, now());
  using listeners = new PortListeners(pm);
  const sent = new Writer();
  const port = new KernelPort({
    pm,
    rtnl,
    listeners,
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
  using driver = new Driver(engine, { run: (actions) => port.run(actions), now, trace: undefined });
  const events = new Writer();
  for (let life = 1; life <= lives; life++) {
    for (const types of life % 2 === 0 ? APART : TOGETHER) {
      events.reset();
      for (const type of types) writeEvent(events, type, (life * SPREAD) >>> 0);
      const batch: MptcpEvent[] = [];
      eachMessage(events.bytes, 0, events.length, (header) => batch.push(decodeEvent(events.bytes, header)));
      driver.handleAll(translateBatch(batch));
    }
    // A whole life: nothing is left that a timer would ask the kernel about.
    yield;
  }
}

const { CREATED, ESTABLISHED, SUB_ESTABLISHED, CLOSED } = MPTCP_EVENT;
/** What comes in one wake-up: a slow network, and a fast one. */
const APART = [[CREATED], [ESTABLISHED], [SUB_ESTABLISHED], [CLOSED]];
const TOGETHER = [[CREATED, ESTABLISHED], [SUB_ESTABLISHED], [CLOSED]];
/** Tokens are random over 32 bits: code compiled for small ones would be thrown away again (Knuth's multiplier). */
const SPREAD = 2654435761;

const ENDPOINT = { address: "10.0.2.1" as Address, flags: ENDPOINT_FLAG.subflow };

const PATH = "0600020002000000080005000a000101080007000a00010206000900d650000006000a0013890000";
const JOINED = "0600020002000000080005000a000201080007000a000202060009008a0b000006000a0013890000";
const IDS = "05000300000000000500040000000000";
/** As Linux 6.18 sends them: objects whose attributes came in another order are of another shape to V8. */
export const MADE_UP: ReadonlyMap<number, Uint8Array> = new Map([
  [CREATED, event(`010100000800010000000000${PATH}${IDS}`)],
  [ESTABLISHED, event(`020100000800010000000000${PATH}${IDS}`)],
  [SUB_ESTABLISHED, event(`0a0100000800010000000000${JOINED}${IDS}05000b0000000000`)],
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
