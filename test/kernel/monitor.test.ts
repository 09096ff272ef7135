import assert from "node:assert/strict";
import { getPriority } from "node:os";
import { Lab, transfer } from "../../src/lab/index.ts";
import { conforms } from "../fixtures/schemas.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { Monitor } from "./monitor-support.ts";
import { kernelTest } from "./support.ts";

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  return connection;
}

/** Nobody says when it listens: connections come until the monitor has seen one begin. */
async function untilSeen(lab: Lab, monitor: Monitor, pattern: RegExp) {
  let connection = await connected(lab);
  await lab.waitFor(
    async () => {
      if (pattern.test(monitor.text)) return true;
      connection.destroy();
      connection = await connected(lab);
      return false;
    },
    DEADLINE,
    `${pattern}:\n${monitor.text}`,
  );
  return connection;
}

kernelTest(
  "monitor --human: events in words, with interface, elapsed time and reason, decisions between them",
  async () => {
    await using lab = await Lab.create(HEALTHY);
    const client = lab.host("client");
    await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const monitor = new Monitor(lab, client, "monitor", "--human");
    const connection = await untilSeen(
      lab,
      monitor,
      /we open a subflow over cellular: .*because: the connection is established/,
    );
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "two subflows");
    const { token } = connectionsOf(client).find(({ subflows }) => subflows.length === 2)!;
    const name = token.toString(16).padStart(8, "0");
    const only = new Monitor(lab, client, "-j", "monitor", "--token", name);
    const cellular = new Monitor(lab, client, "monitor", "events", "--human", "--dev", "cellular");
    // They listen when they tell of something.
    const flap = async (): Promise<boolean> => {
      await client.exec(["ss", "-K", "src", "10.0.2.1", "dst", "10.0.1.2"]);
      return /subflow over cellular closed/.test(cellular.text) && /"SF_CLOSED"/.test(only.text);
    };
    await lab.waitFor(flap, DEADLINE, "subflows that are closed");
    await monitor.prints(
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} +\\+\\d+\\.\\d{3} s +${name} +subflow over cellular closed: 10\\.0\\.2\\.1:\\d+ → 10\\.0\\.1\\.2:\\d+, software caused connection abort`,
        "m",
      ),
    );
    for (const line of cellular.lines) assert.match(line, /over cellular/);
    for (const line of only.lines) {
      const value = conforms<{ token: string }>("monitor", line);
      assert.equal(value.token, `0x${token.toString(16)}`);
    }
    connection.destroy();
    assert.deepEqual([await monitor.end(), await only.end(), await cellular.end()], [0, 0, 0]);
  },
);

kernelTest("monitor: with the in-kernel path manager, what the daemon changes of the host stands between", async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  await DaemonProcess.start(lab, client, "--path-manager", "kernel");
  const monitor = new Monitor(lab, client, "monitor", "decisions", "--human");
  const [json, down] = [
    new Monitor(lab, client, "-j", "monitor", "decisions"),
    () => client.ip(["link set cellular down"]),
  ];
  const up = ["link set cellular up", "route replace default via 10.0.2.2 dev cellular metric 200"];
  const isTold = async (): Promise<boolean> => {
    await down();
    await client.ip(up);
    return /ip mptcp endpoint delete id \d+, because: the plan for this host/.test(monitor.text) && json.text !== "";
  };
  await lab.waitFor(isTold, DEADLINE, "a decision about the host");
  for (const line of json.lines) conforms("monitor", line);
  assert.deepEqual([await monitor.end(), await json.end()], [0, 0]);
  for (const [words, says] of [
    [["monitor", "nonsense"], /unknown/],
    [["monitor", "events", "more"], /unknown|at most/],
    [["-j", "monitor", "--human"], /JSON is for programs/],
    [["monitor", "--token", "xyz"], /hexadecimal/],
  ] as const) {
    const { status, stderr } = subflow(client, ...words);
    assert.equal(status, 255);
    assert.match(stderr, says);
  }
});

kernelTest("who only looks lets the daemon go first", async () => {
  await using lab = await Lab.create(HEALTHY);
  const watching = new Monitor(lab, lab.host("client"), "monitor");
  const wanted = Math.max(10, getPriority());
  await lab.waitFor(() => watching.priority === wanted, DEADLINE, "its priority");
  assert.ok(getPriority() <= wanted);
  await watching.end();
});
