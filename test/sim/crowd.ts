import { type Action, Engine, type EngineEvent, type Policy, Pump, type Rule } from "../../src/engine/index.ts";
import { policies } from "../../src/policies/index.ts";
import { type SimConnection, SimKernel } from "../../src/sim/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis } from "../../src/types/index.ts";

/** Actions that are commands to the kernel. */
const COMMANDS: ReadonlySet<Action["type"]> = new Set([
  "subflow.create",
  "subflow.destroy",
  "subflow.setBackup",
  "address.announce",
  "address.remove",
]);

const local = (link: number): Address => `10.0.${link}.1` as Address;

/** Who looks at how long a step of the engine took. */
export type Around = (event: EngineEvent, step: () => readonly Action[]) => readonly Action[];

export interface CrowdOptions {
  readonly connections: number;
  readonly policy: string;
  readonly rules?: readonly Rule[];
  readonly around?: Around;
}

/** Many connections of one host with two links, in the simulated kernel: both links are there at first, and each connection begins on the first. */
export class Crowd {
  readonly engine: Engine;
  readonly kernel: SimKernel;
  now: Millis = 0;
  /** Commands to the kernel so far. */
  commands = 0;
  readonly #pump: Pump;
  readonly #down = new Set<number>();
  #port = 10_000;

  constructor({ connections, policy, rules, around = (_event, step) => step() }: CrowdOptions) {
    const inCharge = policies.find(({ name }) => name === policy) as Policy;
    this.engine = new Engine({ policies: [inCharge, ...policies] });
    this.kernel = new SimKernel({
      connectError: (address) => (this.#isDown(address) ? 101 : 0),
      sourceFor: () => local(1),
      port: () => 10_000 + (this.#port++ % 50_000),
      listenError: () => 0,
    });
    this.#pump = new Pump(
      { handle: (event) => around(event, () => this.engine.handle(event, this.now)) },
      { now: () => this.now, run: (actions) => this.#run(actions) },
    );
    const endpoints = [1, 2].map((link) => ({ address: local(link), flags: ENDPOINT_FLAG.subflow }));
    this.#feed({ type: "config.changed", policy, rules, endpoints, limits: { subflows: 4, addAddrAccepted: 0 } });
    for (let n = 0; n < connections; n++) this.#begin(n + 1);
    this.pass(1000);
  }

  /** What of the kernel's is asked, of each connection: how many are not so. */
  missing(isSo: (connection: SimConnection) => boolean): number {
    return [...this.kernel.connections.values()].filter((connection) => !isSo(connection)).length;
  }

  /** The link goes, as its host's manager tells of it. */
  lose(link: number): void {
    this.#down.add(link);
    const id = this.engine.endpoints().find(({ address }) => address === local(link))?.id ?? 0;
    this.#feed({ type: "command.received", request: 1, command: { type: "endpoint.delete", id, isLoss: true } });
  }

  restore(link: number): void {
    this.#down.delete(link);
    const command = { type: "endpoint.add", address: local(link), flags: ENDPOINT_FLAG.subflow } as const;
    this.#feed({ type: "command.received", request: 1, command });
  }

  /** Time goes on; SYNs are answered where the link is there. */
  pass(duration: Millis): void {
    const until = this.now + duration;
    this.#answer();
    for (;;) {
      const next = this.engine.nextTick;
      if (next === undefined || next > until) break;
      this.now = Math.max(this.now, next);
      this.#feed({ type: "tick" });
      this.#answer();
    }
    this.now = until;
  }

  #begin(token: number): void {
    // Several ports of the server, so that rules tell connections apart.
    const remote = { address: "10.9.0.1" as Address, port: 5000 + (token % 20) };
    const path = { local: { address: local(1), port: 10_000 + token }, remote };
    const facts = { token, side: "client", path, denyJoinId0: false } as const;
    this.kernel.open({ ...facts, pathManager: "userspace", established: true });
    this.#feed({ type: "connection.created", ...facts });
    this.#feed({ type: "connection.established", ...facts });
  }

  #answer(): void {
    for (const { token, subflows } of this.kernel.connections.values()) {
      for (const subflow of subflows) {
        if (subflow.state !== "syn-sent" || this.#isDown(subflow.path.local.address)) continue;
        subflow.state = "established";
        const { path, localId, remoteId } = subflow;
        this.#feed({ type: "subflow.established", token, path, localId, remoteId, backup: false });
      }
    }
  }

  #isDown(address: Address): boolean {
    return [...this.#down].some((link) => local(link) === address);
  }

  #feed(event: EngineEvent): void {
    this.#pump.feed(event);
    for (let told = this.kernel.events.shift(); told; told = this.kernel.events.shift()) this.#pump.feed(told);
  }

  #run(actions: readonly Action[]): EngineEvent[] {
    return actions.flatMap((action) => {
      if (COMMANDS.has(action.type)) this.commands++;
      return this.kernel.outcomeOf(action) ?? [];
    });
  }
}

/** Twenty rules, by port of the server: what they lead to differs. */
export function twentyRules(): Rule[] {
  const kinds: readonly Partial<Rule>[] = [
    { policy: "resilient" },
    { policy: "active-backup", given: { hold_down: 1000 } },
    { policy: "fullmesh", limits: { subflows: 2 } },
    { policy: "one-per-interface" },
    { policy: "handover" },
  ];
  return Array.from({ length: 20 }, (_, nth): Rule => {
    return { name: `${nth}`, match: { remotePorts: [[5000 + nth, 5000 + nth]] }, ...kinds[nth % kinds.length] };
  });
}
