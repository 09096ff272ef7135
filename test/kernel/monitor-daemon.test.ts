import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { eventJson } from "../../src/cli/monitor/monitor-text.ts";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import type { MptcpEvent } from "../../src/types/index.ts";
import { DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { Monitor } from "./monitor-support.ts";
import { kernelTest } from "./support.ts";

const PYTHON = "/usr/bin/python3";
/** Connections within this host, one after the other: eight events each. */
const MANY = 1500;
const FLOOD = `
import socket
mptcp = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
l = mptcp(); l.bind(("127.0.0.1", 4002)); l.listen(50)
for i in range(${MANY}):
    s = mptcp(); s.connect(("127.0.0.1", 4002)); a = l.accept()[0]
    s.sendall(b"x"); a.recv(1); a.sendall(b"y"); s.close(); a.close()
`;

/** What the kernel tells, heard by the test itself. */
class Kernel implements Disposable {
  readonly #manager: MptcpPm;
  readonly #events: MptcpEvent[] = [];
  readonly #subscription: Disposable;

  constructor(host: Host) {
    this.#manager = MptcpPm.open({ netns: host.netns });
    this.#subscription = this.#manager.watch(
      (event) => this.#events.push(event),
      () => undefined,
    );
  }

  /** As `-j monitor` prints them, but for the names of interfaces. */
  get lines(): string[] {
    return this.#events.map((event) => JSON.stringify(eventJson(event, (index) => `if${index}`)));
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.#manager.close();
  }
}

/** Of JSON lines the events, with interfaces by number. */
function eventsOf(monitor: Monitor): string[] {
  return monitor.lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event !== undefined)
    .map((event) => JSON.stringify(event.dev === undefined ? event : { ...event, dev: `if${String(event.ifindex)}` }));
}

kernelTest(
  "monitor beside a daemon: no listener of its own, the same lines; the kernel when it hangs or is gone",
  async () => {
    await using lab = await Lab.create(HEALTHY);
    const client = lab.host("client");
    const service = await lab.host("server").listen({ address: "0.0.0.0" });
    const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const [human, json] = [new Monitor(lab, client, "monitor", "--human"), new Monitor(lab, client, "-j", "monitor")];
    const both = [human, json];
    const connect = async () => {
      const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
      await transfer(connection.client, connection.server, 1000);
      return connection;
    };
    const isHeard = async (): Promise<boolean> => {
      const connection = await connect();
      connection.destroy();
      return both.every(({ text }) => text !== "");
    };
    await lab.waitFor(isHeard, DEADLINE, "something that the monitors print");
    await lab.waitFor(() => both.every(({ isListening }) => !isListening), DEADLINE, "monitors that do not listen");
    await lab.waitFor(() => pathsOf(client).length === 0, DEADLINE, "no connection");
    for (const each of both) each.clearErrors();

    using kernel = new Kernel(client);
    /** Everything that the kernel told since then, of these connections. */
    const isSame = (from: number, mark: string): boolean => {
      const [theirs, ours] = [kernel.lines.slice(from), eventsOf(json)];
      const begin = ours.indexOf(theirs[0] ?? "");
      return (
        theirs.some((line) => line.includes(mark)) &&
        begin >= 0 &&
        JSON.stringify(ours.slice(begin)) === JSON.stringify(theirs)
      );
    };
    const same = (from: number, mark: string): Promise<unknown> =>
      lab
        .waitFor(() => isSame(from, mark), 2 * DEADLINE, "the kernel's events in the monitor")
        .catch(() => {
          assert.deepEqual(eventsOf(json), kernel.lines.slice(from));
        });
    const listener = await client.listen({ address: "10.0.1.1" });
    const first = await connect();
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "two subflows");
    await client.exec(["ss", "-K", "src", "10.0.2.1", "dst", "10.0.1.2"]);
    await human.prints(/subflow over cellular closed: .*, software caused connection abort/);
    first.destroy();
    await same(0, '"CLOSED"');
    assert.ok(
      kernel.lines.some((line) => line.includes("LISTENER_CREATED")),
      "the kernel tells of listeners",
    );
    assert.deepEqual([human.errors, json.errors], ["", ""], "nothing is to be said of the daemon's events");
    assert.deepEqual(
      both.map(({ isListening }) => isListening),
      [false, false],
    );

    // It stands still, and goes on.
    daemon.signal("SIGSTOP");
    for (const each of both) await each.says(/does not answer: events are heard from the kernel/);
    await lab.waitFor(() => both.every(({ isListening }) => isListening), DEADLINE, "monitors that listen");
    const stopped = kernel.lines.length;
    const second = await connect();
    await same(stopped, '"ESTABLISHED"');
    for (const each of both) each.clearErrors();
    daemon.signal("SIGCONT");
    for (const each of both) await each.says(/a Subflow daemon answers/);
    await lab.waitFor(() => both.every(({ isListening }) => !isListening), DEADLINE, "monitors that do not listen");
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "two subflows");
    second.destroy();
    // From the moment of the stop on: nothing is missing, nothing twice.
    await same(stopped, '"CLOSED"');

    for (const each of both) each.clearErrors();
    await daemon.end("SIGKILL");
    for (const each of both) await each.says(/heard from the kernel.*may be missing/);
    await lab.waitFor(() => both.every(({ isListening }) => isListening), DEADLINE, "monitors that listen");
    const killed = kernel.lines.length;
    const third = await connect();
    await same(killed, '"ESTABLISHED"');
    const next = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    for (const each of both) await each.says(/a Subflow daemon answers/);
    await lab.waitFor(() => both.every(({ isListening }) => !isListening), DEADLINE, "monitors that do not listen");
    third.destroy();
    await same(killed, '"CLOSED"');
    listener.close();
    assert.deepEqual([await human.end(), await json.end(), await next.end()], [0, 0, 0]);
  },
);

kernelTest(
  "monitor whose output nobody takes is told how much it missed, and goes on; the daemon answers meanwhile",
  async (t) => {
    if (!existsSync(PYTHON)) return t.skip(`needs ${PYTHON}`);
    await using lab = await Lab.create(HEALTHY);
    const client = lab.host("client");
    await client.ip(["link set lo up"]);
    const daemon = await DaemonProcess.start(lab, client, "--path-manager", "kernel");
    const monitor = new Monitor(lab, client, "monitor", "--human");
    const listens = async (): Promise<boolean> => {
      const service = await client.listen({ address: "127.0.0.1" });
      service.close();
      return /listens/.test(monitor.text);
    };
    await lab.waitFor(listens, DEADLINE, "something that the monitor prints");
    monitor.pause();
    await client.exec([PYTHON, "-c", FLOOD]);
    assert.ok(((await daemon.hello())?.events ?? 0) > 4 * MANY);
    monitor.resume();
    await monitor.says(/Warning: \d+ events or decisions came faster than they could be read; they are lost\.\n/);
    await monitor.says(/Now there are \d+ connections\./);
    // It may have fallen behind more than once.
    const missed = (): number =>
      [...monitor.errors.matchAll(/(\d+) events or decisions/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    await lab.waitFor(
      () => missed() > MANY,
      DEADLINE,
      () => `more than ${MANY} missed; told of ${missed()}`,
    );
    const before = monitor.text.length;
    const again = async (): Promise<boolean> => {
      const service = await client.listen({ address: "127.0.0.1" });
      service.close();
      return /no longer listens/.test(monitor.text.slice(before));
    };
    await lab.waitFor(again, DEADLINE, "the monitor goes on");
    assert.equal(monitor.isListening, false);
    assert.deepEqual([await monitor.end(), await daemon.end()], [0, 0]);
  },
);
