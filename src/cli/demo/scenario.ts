import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Host,
  Lab,
  type Link,
  longestStall,
  type Topology,
  type TrafficConnection,
  transfer,
} from "../../lab/index.ts";
import { MptcpPm } from "../../netlink/index.ts";
import type { Address, Millis, MptcpEvent } from "../../types/index.ts";
import { failure } from "../failure.ts";
import { formatBytes } from "../units.ts";
import { eventText } from "./event-text.ts";
import { type DemoManager, kernelManager, ownManager } from "./managers.ts";
import {
  type DemoPath,
  type DemoResult,
  type DemoState,
  type DemoView,
  type ManagerName,
  PHASES,
  type Source,
} from "./state.ts";

const MBIT = 1_000_000;
const GOAL = 30_000_000;
const CUT_AFTER: Millis = 4000;
const BACK_AFTER: Millis = 9000;
/** 30 MB need 16 s; a machine that is busy with other things may take longer. */
const DEADLINE: Millis = 60_000;
const SAMPLE: Millis = 50;
/** Throughput is an average over so many samples. */
const WINDOW = 10;
/** So much over a path means that it carries the data, and not just a retransmission. */
const CARRIES = 20_000;
/** How often it is looked whether a path carries data: half of what the delays may be wrong by. */
const LOOK: Millis = 4;

/** Two ways into the network, where the server is: it sees nothing of a cable that is pulled at the client. */
const TOPOLOGY: Topology = {
  hosts: {
    client: {
      sourceRoutes: true,
      routes: ["default via 10.0.1.254 dev wifi metric 100", "default via 10.0.2.254 dev cellular metric 200"],
    },
    network: { sysctls: { "net.ipv4.ip_forward": 1 } },
    server: { routes: ["default via 10.0.9.254"] },
  },
  links: [
    { name: "wifi", rate: "20mbit", ends: { client: ["10.0.1.1/24"], network: ["10.0.1.254/24"] } },
    { name: "cellular", rate: "12mbit", ends: { client: ["10.0.2.1/24"], network: ["10.0.2.254/24"] } },
    { name: "internet", ends: { network: ["10.0.9.254/24"], server: ["10.0.9.1/24"] } },
  ],
};

/** Runs the whole demo; rejects when the machine cannot, or when the connection breaks. */
export async function runDemo(view: DemoView, manager: ManagerName, clientConfig?: string): Promise<DemoResult> {
  await using lab = await Lab.create(TOPOLOGY);
  return await new Demo(lab, view, manager, clientConfig).run();
}

interface Plot {
  readonly pm: MptcpPm;
  readonly manager: DemoManager;
  readonly marks: Millis[];
  readonly delays: { otherPath: Millis | undefined; back: Millis | undefined };
  readonly signal: AbortSignal;
}

class Demo {
  readonly #lab: Lab;
  readonly #clientConfig: string | undefined;
  readonly #view: DemoView;
  readonly #start = performance.now();
  readonly #state: DemoState;
  readonly #history: number[][] = [];
  readonly #client: Host;
  readonly #server: Host;
  readonly #wifi: Link;
  readonly #counted = new Map<string, { port: number; before: number; bytes: number }>();
  /** Rejects when the view fails (nobody reads it any more), which may be inside a callback that has no caller. */
  readonly #unseen: Promise<never>;
  #giveUp: (error: unknown) => void = () => {};

  constructor(lab: Lab, view: DemoView, manager: ManagerName, clientConfig: string | undefined) {
    this.#clientConfig = clientConfig;
    this.#lab = lab;
    this.#view = view;
    this.#unseen = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.#unseen.catch(() => {}); // it may come when nobody waits for it yet
    this.#client = lab.host("client");
    this.#server = lab.host("server");
    this.#wifi = lab.link("wifi");
    const path = (name: string, rate: number): DemoPath => {
      const local = lab.link(name).address(this.#client);
      const remote = lab.link("internet").address(this.#server);
      return { name, rate, local, remote, isUp: true, role: "-", bytes: 0, throughput: 0 };
    };
    this.#state = {
      release: release(),
      manager,
      goal: GOAL,
      paths: [path("wifi", 20 * MBIT), path("cellular", 12 * MBIT)],
      events: [],
      token: undefined,
      elapsed: 0,
      received: 0,
      stalls: [],
    };
  }

  async run(): Promise<DemoResult> {
    using client = MptcpPm.open({ netns: this.#client.netns });
    this.#tell(
      "demo",
      "a client with wifi (20 Mbit/s) and cellular (12 Mbit/s), and a server, in namespaces of their own",
    );
    const { manager, paths } = this.#state;
    const tell = (source: Source, text: string): void => this.#tell(source, text);
    const scene = { lab: this.#lab, paths, tell };
    await using pathManager =
      manager === "kernel" ? await kernelManager(scene) : await ownManager(scene, this.#clientConfig);
    using _events = client.watch(
      (event) => this.#kernel(event),
      () => this.#tell("kernel", "some events were lost"),
    );
    const service = await this.#server.listen({ address: "0.0.0.0", port: 4711 });
    this.#tell("demo", `the client connects to ${paths[0].remote} and asks for ${formatBytes(GOAL)}`);
    const connection = await service.connect(this.#client.netns, { to: paths[0].remote });
    await transfer(connection.client, connection.server, 100); // the request
    return await this.#download(client, pathManager, connection);
  }

  async #download(pm: MptcpPm, manager: DemoManager, traffic: TrafficConnection): Promise<DemoResult> {
    const { client, server } = traffic;
    const start = performance.now();
    const abort = new AbortController();
    const marks: Millis[] = [];
    const timer = setInterval(() => this.#sample(pm, client), SAMPLE);
    const delays: { otherPath: Millis | undefined; back: Millis | undefined } = {
      otherPath: undefined,
      back: undefined,
    };
    const script = this.#cutAndReturn({ pm, manager, marks, delays, signal: abort.signal });
    const late = sleep(DEADLINE, undefined, { signal: abort.signal }).then(() => {
      throw failure(`Error: the transfer did not end within ${DEADLINE / 1000} s.`);
    });
    try {
      const report = await Promise.race([transfer(server, client, GOAL), late, this.#unseen, script.then(() => late)]);
      this.#sample(pm, client);
      this.#tell("traffic", `all ${formatBytes(GOAL)} arrived, ${report.isIntact ? "intact" : "DAMAGED"}`);
      const duration = performance.now() - start;
      const leftOut = await manager.why(this.#state.token ?? 0);
      return { ...this.#result(report.isIntact, duration, marks), delays, leftOut };
    } finally {
      clearInterval(timer);
      abort.abort();
      await Promise.allSettled([late, script]);
    }
  }

  /** The demo's plot. `marks` gets the times of the cut and of the return. */
  async #cutAndReturn({ pm, manager, marks, delays, signal }: Plot): Promise<void> {
    const [wifi, cellular] = this.#state.paths;
    await sleep(CUT_AFTER, undefined, { signal });
    this.#tell("demo", "the cable of wifi is pulled: its carrier is gone");
    marks.push(performance.now());
    await this.#wifi.loseCarrier(this.#client);
    wifi.isUp = false;
    delays.otherPath = await this.#carries(pm, cellular, signal);
    this.#tell("traffic", `cellular carries the data, ${Math.round(delays.otherPath)} ms after the cut`);
    for (const line of await manager.whyNoPath()) this.#tell("subflow", line);
    await sleep(Math.max(0, marks[0]! + BACK_AFTER - CUT_AFTER - performance.now()), undefined, { signal });
    this.#tell("demo", "wifi is back");
    marks.push(performance.now());
    await this.#wifi.up();
    wifi.isUp = true;
    delays.back = await this.#carries(pm, wifi, signal);
    this.#tell("traffic", `wifi carries the data again, ${Math.round(delays.back)} ms after its return`);
  }

  /** Waits until the path carries data, from now on. */
  async #carries(pm: MptcpPm, path: DemoPath, signal: AbortSignal): Promise<Millis> {
    const start = performance.now();
    this.#count(pm);
    const before = path.bytes;
    while (path.bytes < before + CARRIES) {
      await sleep(LOOK, undefined, { signal });
      this.#count(pm);
    }
    return performance.now() - start;
  }

  /** What each path has carried, over all the subflows that it had in turn. */
  #count(pm: MptcpPm): void {
    const [connection] = pm.connections();
    for (const path of this.#state.paths) {
      const subflow = connection?.subflows.find(
        ({ state, path: { local } }) => state === "established" && local.address === path.local,
      );
      if (!subflow) {
        path.role = path.role === "-" ? "-" : "closed";
        continue;
      }
      const { port } = subflow.path.local;
      const counted = this.#counted.get(path.name) ?? { port, before: 0, bytes: 0 };
      if (counted.port !== port) Object.assign(counted, { port, before: counted.before + counted.bytes });
      counted.bytes = subflow.bytesReceived;
      this.#counted.set(path.name, counted);
      path.bytes = counted.before + counted.bytes;
      path.role = `${subflow.join ? "joined" : "initial"}${subflow.backupLocal || subflow.backupRemote ? ", backup" : ""}`;
    }
  }

  #sample(pm: MptcpPm, end: TrafficConnection["client"]): void {
    const state = this.#state;
    this.#count(pm);
    const now = performance.now();
    this.#history.push([now, ...state.paths.map(({ bytes }) => bytes)]);
    const [then = now, ...bytesThen] = this.#history.at(-WINDOW) ?? this.#history[0] ?? [];
    for (const [index, path] of state.paths.entries()) {
      path.throughput = now === then ? 0 : ((path.bytes - (bytesThen[index] ?? 0)) * 8000) / (now - then);
    }
    state.received = end.bytesReceived;
    state.stalls = end.stalls;
    state.elapsed = now - this.#start;
    this.#show(() => this.#view.sample(state));
  }

  #kernel(event: MptcpEvent): void {
    this.#state.token ??= event.token;
    const text = eventText(event, this.#pathName(event.localAddress));
    if (text) this.#tell("kernel", text);
  }

  #pathName(local: Address | undefined): string {
    return this.#state.paths.find((path) => path.local === local)?.name ?? "";
  }

  #tell(source: Source, text: string): void {
    const at = performance.now() - this.#start;
    this.#state.elapsed = at;
    this.#state.events.push({ at, source, text, bytes: this.#state.paths.map(({ bytes }) => bytes) });
    this.#show(() => this.#view.event(this.#state));
  }

  #show(draw: () => void): void {
    try {
      draw();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #result(isIntact: boolean, duration: Millis, marks: readonly Millis[]): Omit<DemoResult, "delays" | "leftOut"> {
    const phaseOf = (at: Millis): number => marks.filter((mark) => at > mark).length;
    // A stall belongs to the part in which it ends: one that the cut begins may have started just before it.
    const stalls = PHASES.map((phase, index) => ({
      phase,
      longest: longestStall(this.#state.stalls.filter(({ start, duration }) => phaseOf(start + duration) === index)),
    }));
    const [cut = 0, back = Number.POSITIVE_INFINITY] = marks.map((mark) => mark - this.#start);
    const whileCut = this.#state.events.filter(({ source, at }) => source === "kernel" && at > cut && at < back);
    return {
      state: this.#state,
      isIntact,
      duration,
      stalls,
      kernelEventsWhileCut: whileCut.length,
      counters: this.#counters(),
    };
  }

  #counters(): DemoResult["counters"] {
    const [client, server] = [this.#client.counters(), this.#server.counters()];
    return [
      { name: "MPJoinSynTx", value: client.MPJoinSynTx ?? 0, meaning: "joins that the client's kernel sent" },
      {
        name: "SubflowStale",
        value: server.SubflowStale ?? 0,
        meaning: "times the server's kernel gave up waiting for a subflow",
      },
      { name: "SubflowRecover", value: server.SubflowRecover ?? 0, meaning: "times it trusted one again" },
      {
        name: "MPTCPRetrans",
        value: server.MPTCPRetrans ?? 0,
        meaning: "pieces of data sent again on another subflow",
      },
    ];
  }
}
