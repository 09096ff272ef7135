import assert from "node:assert/strict";
import { type Action, type Command, Engine, type EngineEvent } from "../../src/engine/index.ts";
import { policies } from "../../src/policies/index.ts";
import { checkConnection } from "../../src/sim/checkers.ts";
import {
  type Address,
  BLANK_CONNECTION,
  BLANK_SUBFLOW,
  ENDPOINT_FLAG,
  ERRNO,
  type Path,
  type SubflowInfo,
  type TcpState,
} from "../../src/types/index.ts";
import { Choices } from "./choices.ts";

/*
 * The engine, told what a kernel may say and what none would: connections that nobody has heard of, subflows that were never opened, outcomes of
 * actions in any order. It has to go on, keep its bounds, and come to the same again.
 */

const addresses = (...texts: string[]) => texts as string[] as unknown as [Address, ...Address[]];
const LOCALS = addresses("10.0.1.1", "10.0.2.1", "10.0.3.1", "2001:db8:1::1", "::ffff:10.0.1.1");
const REMOTES = addresses("10.0.1.2", "10.0.2.2", "127.0.0.1", "2001:db8:1::2", "::ffff:10.0.1.2");
const PORTS: [number, ...number[]] = [0, 443, 1024, 40_000, 40_001, 65_535];
const ERRNOS: [number, ...number[]] = [
  0,
  ERRNO.ECONNRESET,
  ERRNO.ECONNREFUSED,
  ERRNO.ETIMEDOUT,
  ERRNO.EINVAL,
  ERRNO.ENOTCONN,
  ERRNO.ESRCH,
];
const TEXTS: [string, ...string[]] = [
  "",
  "did not match address and id",
  "userspace PM not selected",
  "invalid token",
  "subflow not found",
];
const STATES: [TcpState, ...TcpState[]] = ["established", "syn-sent", "syn-recv", "close-wait", "closed"];
const { subflow, signal, backup, fullmesh, laminar } = ENDPOINT_FLAG;
const FLAGS: [number, ...number[]] = [
  subflow,
  signal,
  subflow | backup,
  subflow | signal,
  fullmesh | subflow,
  laminar | subflow,
  0,
  16,
];
const NAMES = policies.map(({ name }) => name) as [string, ...string[]];
/** Milliseconds from one event to the next. */
const PAUSES: [number, ...number[]] = [0, 0, 1, 25, 300, 5000, 160_000, 0.5];

/** What was asked for and not answered yet: any answer may come, in any order. */
type Open = Action[];

function pathOf(from: Choices): Path {
  return {
    local: { address: from.pick(LOCALS), port: from.pick(PORTS) },
    remote: { address: from.pick(REMOTES), port: from.pick(PORTS) },
  };
}

const tokenOf = (from: Choices): number => 1 + from.below(3);
const idOf = (from: Choices): number => from.pick([0, 1, 2, 3, 8, 255]);

function subflowOf(from: Choices): SubflowInfo {
  return {
    ...BLANK_SUBFLOW,
    path: pathOf(from),
    state: from.pick(STATES),
    localId: idOf(from),
    remoteId: idOf(from),
    join: from.flag(),
    initiated: from.pick([true, false, undefined]),
    backupLocal: from.flag(),
    fullyEstablished: from.flag(),
  };
}

function observedOf(from: Choices, token: number) {
  const subflows = Array.from({ length: from.below(4) }, () => subflowOf(from));
  return {
    connection: {
      ...BLANK_CONNECTION,
      token,
      path: pathOf(from),
      state: from.pick(["established", "established", "closed"] as const),
      side: from.pick(["client", "server", undefined] as const),
      pathManager: from.pick(["userspace", "userspace", "kernel"] as const),
      subflows,
      localAddresses: undefined,
      extraSubflows: from.below(3),
      subflowsTotal: from.pick([undefined, 0, 1, 2]),
      addAddrSignaled: from.below(3),
    },
    localAddresses: Array.from({ length: from.below(3) }, () => endpointOf(from)),
  };
}

function endpointOf(from: Choices) {
  return {
    id: idOf(from),
    address: from.pick(LOCALS),
    port: from.pick([0, 0, 443]),
    flags: from.pick(FLAGS),
    interfaceIndex: from.below(3),
  };
}

function measuredOf(from: Choices, token: number): EngineEvent {
  const subflows = Array.from({ length: from.below(4) }, () => ({
    path: pathOf(from),
    state: from.pick(STATES),
    rtt: 1000 * from.byte(),
    rttVar: 100 * from.byte(),
    rto: 200_000,
    unacked: from.below(4),
    lost: from.below(4),
    retransmits: from.byte(),
    backoff: from.below(8),
    bytesSent: 1000 * from.byte(),
    bytesAcked: 1000 * from.byte(),
    bytesReceived: 1000 * from.byte(),
    bytesRetransmitted: 100 * from.byte(),
    deliveryRate: 1000 * from.byte(),
    mss: 1400,
    sinceSent: 100 * from.byte(),
    sinceAck: 100 * from.byte(),
    sinceReceived: 100 * from.byte(),
  }));
  const bytesReceived = 1000 * from.byte();
  return {
    type: "connection.measured",
    token,
    isQuiet: from.flag(),
    bytesReceived,
    outstanding: from.byte(),
    subflows,
  };
}

function outcomeOf(from: Choices, open: Open): EngineEvent | undefined {
  const [action] = open.splice(from.below(Math.max(1, open.length)), 1);
  if (!action) return undefined;
  if (from.flag()) return { type: "action.done", action, source: from.pick(LOCALS) };
  return { type: "action.failed", action, errno: from.pick(ERRNOS), message: from.pick(TEXTS) };
}

function commandOf(from: Choices): EngineEvent {
  const request = from.byte();
  const makers: [() => Command, ...(() => Command)[]] = [
    () => ({ type: "endpoint.add", ...endpointOf(from) }),
    () => ({ type: "endpoint.delete", id: idOf(from), address: from.pick(LOCALS), isLoss: from.flag() }),
    () => ({ type: "endpoint.change", id: idOf(from), address: from.pick(LOCALS), flags: from.pick(FLAGS) }),
    () => ({ type: "endpoint.flush" }),
    () => ({ type: "limits.set", subflows: from.below(10), addAddrAccepted: from.below(10) }),
    () => ({ type: "policy.set", token: tokenOf(from), policy: from.pick(NAMES), given: {} }),
    () => ({ type: "policy.unset", token: tokenOf(from) }),
  ];
  return { type: "command.received", request, command: from.pick(makers)() };
}

type Maker = (from: Choices, token: number, open: Open) => EngineEvent | undefined;

const facts = (from: Choices) => ({
  side: from.pick(["client", "server"] as const),
  path: pathOf(from),
  denyJoinId0: from.below(8) === 7,
});
const ids = (from: Choices) => ({ path: pathOf(from), localId: idOf(from), remoteId: idOf(from) });

const MAKERS: [Maker, ...Maker[]] = [
  (from, token) => ({ type: "connection.created", token, ...facts(from) }),
  (from, token) => ({ type: "connection.established", token, ...facts(from) }),
  (_, token) => ({ type: "connection.closed", token }),
  (from, token) => ({
    type: "subflow.established",
    token,
    ...ids(from),
    backup: from.flag(),
    interfaceIndex: from.below(3),
  }),
  (from, token) => ({
    type: "subflow.closed",
    token,
    ...ids(from),
    errno: from.pick(ERRNOS),
    resetReason: from.below(7),
  }),
  (from, token) => ({ type: "subflow.priority", token, ...ids(from), backup: from.flag() }),
  (from, token) => ({
    type: "address.announced",
    token,
    remoteId: idOf(from),
    address: from.pick(REMOTES),
    port: from.pick(PORTS),
  }),
  (from, token) => ({ type: "address.removed", token, remoteId: idOf(from) }),
  () => ({ type: "kernel.overrun" }),
  (from) => ({
    type: "kernel.snapshot",
    connections: Array.from({ length: from.below(3) }, () => observedOf(from, tokenOf(from))),
  }),
  (from, token) => ({
    type: "connection.observed",
    token,
    observed: from.flag() ? observedOf(from, token) : undefined,
  }),
  measuredOf,
  (from, token) => ({ type: "connection.counted", token, bytes: 1000 * from.byte() }),
  (from, _, open) => outcomeOf(from, open),
  (from, _, open) => outcomeOf(from, open),
  commandOf,
  (from) => ({
    type: "config.changed",
    endpoints: from.flag() ? Array.from({ length: from.below(4) }, () => endpointOf(from)) : undefined,
    limits: { subflows: from.below(9), addAddrAccepted: from.below(9) },
    policy: from.pick(NAMES),
  }),
  (from) => ({
    type: "host.addresses",
    addresses: LOCALS.slice(0, from.below(LOCALS.length)),
    metered: LOCALS.slice(0, from.below(3)),
  }),
  (from, token) => ({
    type: "connection.owner",
    token,
    owner: { socket: { uid: from.below(2), cgroup: undefined }, command: null },
  }),
  () => ({ type: "network.changed" }),
];

/** Everything once; @returns what was answered, in words */
function play(bytes: Uint8Array, count: (events: number) => void): string {
  const from = new Choices(bytes);
  const engine = new Engine({ policies, createsNoBackup: from.flag() });
  const answers: string[] = [];
  const open: Open = [];
  let now = 0;
  const tell = (event: EngineEvent): void => {
    count(1);
    const actions = engine.handle(event, now);
    for (const action of actions)
      if (action.type !== "command.answer" && action.type !== "policy.report") open.push(action);
    answers.push(JSON.stringify(actions));
    for (const token of [1, 2, 3]) checkConnection(engine.connection(token));
  };
  tell({ type: "config.changed", policy: from.pick(NAMES), limits: { subflows: 8, addAddrAccepted: 8 } });
  while (!from.isOver) {
    const event = from.pick(MAKERS)(from, tokenOf(from), open);
    if (event) tell(event);
    now += from.pick(PAUSES);
    // What is due goes first, as with a daemon; it has to come to an end.
    for (let ticks = 0; (engine.nextTick ?? Number.POSITIVE_INFINITY) <= now; ticks++) {
      assert.ok(ticks < 1000, "ticks let time go on");
      tell({ type: "tick" });
    }
  }
  for (const token of [1, 2, 3]) answers.push(JSON.stringify(engine.why(token, now) ?? null));
  return answers.join("\n");
}

/** @returns how many events that were */
export function engineTarget(bytes: Uint8Array): number {
  let events = 0;
  const first = play(bytes, (more) => {
    events += more;
  });
  // One in sixteen is played again: the same events give the same actions.
  if ((bytes[bytes.length - 1] ?? 0) % 16 === 0)
    assert.equal(
      play(bytes, () => undefined),
      first,
      "same events, same actions",
    );
  return events;
}
