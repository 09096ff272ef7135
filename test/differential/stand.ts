import { setTimeout as sleep } from "node:timers/promises";
import { type Host, Lab, patience, type Service, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import type { Millis, Token } from "../../src/types/index.ts";
import { DaemonProcess } from "../kernel/daemon-support.ts";
import { addressOf, LINKS, type Manager, Side } from "./commands.ts";
import { difference, echoesMissing, observe, SERVICE_PORT, withoutResends } from "./observe.ts";
import type { Scenario } from "./scenario.ts";

/** Nothing changed for so long: it is over. Announcements of the engine go 20 ms apart. */
const QUIET: Millis = 150;
/** The same where everything is as wanted already. */
const QUIET_AS_WANTED: Millis = 80;
/** An ADD_ADDR without an echo is sent again after a retransmission timeout, 200 ms at least. */
const QUIET_WITHOUT_ECHO: Millis = 600;
/** Before the first data: the server's path manager may announce something. */
const QUIET_BEFORE_DATA: Millis = 20;
const DEADLINE: Millis = 2500;
const TRAFFIC_DEADLINE: Millis = 5000;
const POLL: Millis = 20;
const BULK = 200_000;
/** In an emulated machine data take longer. Not more than so many times as long: what stalls is played again. */
const TIMES_MAX = 6;

/** What was seen: once after the connection began, once after each step. */
export type Record = readonly (readonly string[])[];

/** Two hosts with four links, each with its path manager; used for one scenario after another. */
export class Stand implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #sides: { readonly client: Side; readonly server: Side };
  readonly #daemons: readonly DaemonProcess[];
  readonly #services = new Map<string, Service>();

  private constructor(lab: Lab, sides: { client: Side; server: Side }, daemons: readonly DaemonProcess[]) {
    this.#lab = lab;
    this.#sides = sides;
    this.#daemons = daemons;
  }

  static async create(managers: { readonly client: Manager; readonly server: Manager }): Promise<Stand> {
    const lab = await Lab.create({
      hosts: { client: { sourceRoutes: true }, server: { sourceRoutes: true } },
      links: LINKS.map((name, index) => ({
        name,
        ends: Object.fromEntries(
          ["client", "server"].map((host, end) => [
            host,
            [`10.0.${index + 1}.${end + 1}/24`, `fd00:${index + 1}::${end + 1}/64`],
          ]),
        ),
      })),
    });
    const daemons: DaemonProcess[] = [];
    const make = async (name: "client" | "server"): Promise<Side> => {
      const host = lab.host(name);
      if (managers[name] === "ours") daemons.push(await startDaemon(lab, host));
      return new Side(host, name, managers[name]);
    };
    const [client, server] = await Promise.all([make("client"), make("server")]);
    return new Stand(lab, { client, server }, daemons);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of Object.values(this.#sides)) side[Symbol.dispose]();
    await Promise.all(this.#daemons.map((daemon) => daemon.end()));
    await this.#lab[Symbol.asyncDispose]();
  }

  /** What our daemons say of themselves, for whoever wonders why a play went otherwise. */
  async account(): Promise<string> {
    const accounts = this.#daemons.map(async (daemon) => `${JSON.stringify(await daemon.hello())}\n${daemon.log}`);
    return (await Promise.all(accounts)).join("\n");
  }

  /** Plays a scenario. With `wanted` it waits, until the deadline, for that to come true. */
  async play(scenario: Scenario, wanted?: Record): Promise<Record> {
    const { client, server } = this.#sides;
    await Promise.all([client.reset(), server.reset()]);
    const refusals: string[] = [];
    for (const command of commands(scenario.setup)) refusals.push(...(await this.#command(command)));
    const counters = () => ({ client: client.host.counters(), server: server.host.counters() });
    const before = counters();
    const connection = await this.#connect(scenario);
    try {
      const tokens = { client: tokenOf(client), server: tokenOf(server) };
      const look = (): string[] => {
        const now = counters();
        const seen = ([client, server] as const).flatMap((side) => observe(side, tokens[side.name], before, now));
        return [...refusals, ...seen];
      };
      // Without data the client is not established yet, so what the server announces at once is there first, as it is in the kernel.
      await settle(look, undefined, QUIET_BEFORE_DATA);
      await this.#bothWays(connection, 1000);
      const record = [await settle(look, wanted?.[0])];
      for (const [index, step] of (scenario.steps ?? []).entries()) {
        // The command comes while data are on their way, but where the kernel would stall.
        const traffic = scenario.kernelMayStall ? undefined : this.#bothWays(connection, BULK);
        // It may fail before its turn to be waited for: that is this play's failure then, and not an error that nobody caught.
        traffic?.catch(() => undefined);
        for (const command of commands(step)) refusals.push(...(await this.#command(command)));
        await traffic;
        record.push(await settle(look, wanted?.[index + 1]));
      }
      await this.#bothWays(connection, BULK);
      return record;
    } finally {
      connection.destroy();
      await this.#lab.waitFor(() => isIdle(client) && isIdle(server), DEADLINE, "the connection to be gone");
    }
  }

  async #command(text: string): Promise<string[]> {
    const [host, ...words] = text.split(" ");
    const refused = await this.#sides[host as "client" | "server"].command(words);
    return refused === undefined ? [] : [`refused: ${text}: ${refused}`];
  }

  async #connect({ family = "v4", listens = "everywhere" }: Scenario): Promise<TrafficConnection> {
    const v6 = family === "v6";
    const at = addressOf("server", v6 ? "a6" : "a");
    const anywhere = family === "v4" ? "0.0.0.0" : "::";
    const address = listens === "everywhere" ? anywhere : at;
    let service = this.#services.get(address);
    if (!service) {
      for (const other of this.#services.values()) other.close();
      this.#services.clear();
      service = await this.#sides.server.host.listen({ address, port: SERVICE_PORT });
      this.#services.set(address, service);
    }
    const to = family === "mapped" ? `::ffff:${at}` : at;
    return service.connect(this.#sides.client.host.netns, { to });
  }

  async #bothWays({ client, server }: TrafficConnection, bytes: number): Promise<void> {
    const broken = AbortSignal.timeout(Math.min(patience(TRAFFIC_DEADLINE), TIMES_MAX * TRAFFIC_DEADLINE));
    broken.onabort = () => [client, server].map((end) => end.socket.destroy(new Error("no data get through any more")));
    const reports = await Promise.all([transfer(client, server, bytes), transfer(server, client, bytes)]);
    broken.onabort = null;
    if (!reports.every(({ isIntact }) => isIntact)) throw new Error("what arrived is not what was sent");
  }
}

function commands(text: string): string[] {
  return text.split("; ").filter((command) => command !== "");
}

function startDaemon(lab: Lab, host: Host): Promise<DaemonProcess> {
  return DaemonProcess.start(lab, host, "--path-manager", "userspace", "--no-automatic", "--log-level", "warn");
}

function established({ pm }: Side) {
  return pm.connections().filter(({ state }) => state === "established");
}

function isIdle(side: Side): boolean {
  return established(side).length === 0;
}

function tokenOf(side: Side): Token {
  const [connection, ...others] = established(side);
  if (!connection || others.length > 0) throw new Error(`${side.name} has not one connection`);
  return connection.token;
}

/** Looks until nothing changes any more, and as wanted if something is wanted. */
async function settle(look: () => string[], wanted?: readonly string[], quiet?: Millis): Promise<readonly string[]> {
  const start = performance.now();
  let last = look();
  let since = start;
  for (;;) {
    await sleep(POLL);
    const now = performance.now();
    const seen = look();
    if (difference(last, seen).length > 0) since = now;
    last = seen;
    const result = withoutResends(seen);
    const asWanted = wanted !== undefined && !echoesMissing(seen) && difference(wanted, result).length === 0;
    const unlessWanted = wanted ? DEADLINE : echoesMissing(seen) ? QUIET_WITHOUT_ECHO : QUIET;
    if (now - since >= (quiet ?? (asWanted ? QUIET_AS_WANTED : unlessWanted)) || now - start > DEADLINE) return result;
  }
}
