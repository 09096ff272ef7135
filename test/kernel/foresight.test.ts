import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import type { Token } from "../../src/types/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

// What is looked at here comes after the warm-up, or before its end.
delete process.env.SUBFLOW_WARM_UP;

const USERSPACE = ["--path-manager", "userspace", "--no-automatic", "--log-level", "debug"];

interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
}

const LINKS = ["one", "two", "three"].map((name, index) => ({
  name,
  ends: {
    client: [`10.0.${index + 1}.1/24`, `fd00:${index + 1}::1/64`],
    server: [`10.0.${index + 1}.2/24`, `fd00:${index + 1}::2/64`],
  },
}));

async function world(use: (world: World) => Promise<void>): Promise<void> {
  await using lab = await Lab.create({ hosts: { client: { sourceRoutes: true }, server: {} }, links: LINKS });
  await use({ lab, client: lab.host("client"), server: lab.host("server") });
}

/** What a connection to `to` gets, and whether that went out ahead; the connection is gone afterwards. */
async function life(
  { lab, client, server }: World,
  daemon: DaemonProcess,
  wanted: readonly string[],
  listen = "10.0.1.2",
  to = listen,
  port = 0,
): Promise<{ readonly foreseen: number; readonly token: Token }> {
  const before = (await daemon.hello())?.foreseen ?? 0;
  const service = await server.listen({ address: listen, port });
  const connection = await service.connect(client.netns, { to });
  try {
    assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
    assert.ok((await transfer(connection.server, connection.client, 1000)).isIntact);
    await lab
      .waitFor(() => pathsOf(client).join() === wanted.join(), DEADLINE, wanted.join())
      .catch((error) => assert.fail(`${error}, there is ${pathsOf(client).join()}\n${daemon.log}`));
    const [known] = connectionsOf(client);
    assert.ok(known);
    const foreseen = ((await daemon.hello())?.foreseen ?? 0) - before;
    assert.equal(subflow(client, "why", known.token.toString(16)).status, 0, "the daemon knows the connection");
    return { foreseen, token: known.token };
  } finally {
    connection.destroy();
    service.close();
    await lab.waitFor(() => connectionsOf(client).length === 0, DEADLINE, "the connection to be gone");
  }
}

const CONFIG = `
limits: { subflows: 4, add_addr_accepted: 2 }
endpoints:
  - { address: 10.0.2.1, dev: two, flags: [subflow] }
  - { address: "fd00:2::1", dev: two, flags: [subflow] }
`;

kernelTest("what a connection gets is foreseen from the second one on, and follows the tables", () =>
  world(async (here) => {
    const { lab, client } = here;
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(CONFIG));
    const [first, second, third] = ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2", "10.0.3.1>10.0.1.2"];
    assert.equal((await life(here, daemon, [first!, second!])).foreseen, 0, "nothing is known yet");
    assert.equal((await life(here, daemon, [first!, second!])).foreseen, 1);
    const elsewhere = ["10.0.1.1>10.0.3.2", "10.0.2.1>10.0.3.2"];
    await client.ip(["route add 10.0.3.2 via 10.0.1.2 src 10.0.1.1"]);
    const other = await life(here, daemon, elsewhere, "10.0.3.2");
    assert.equal(other.foreseen, 1, "the peer's address and port are its own");
    subflow(client, "endpoint", "add", "10.0.3.1", "dev", "three", "subflow");
    assert.equal((await life(here, daemon, [first!, second!, third!])).foreseen, 1, "both at once");
    assert.deepEqual((await daemon.hello())?.ahead, { sent: 4, refused: 0 });
    await client.ip(["address del 10.0.3.1/24 dev three"]);
    assert.equal((await life(here, daemon, [first!, second!])).foreseen, 1, "no longer to be had");
    assert.deepEqual((await daemon.hello())?.ahead, { sent: 6, refused: 1 });
    assert.match(subflow(client, "status").stdout, /foreseen +4 .*6 requests; 1 was refused/);
    subflow(client, "limits", "set", "subflows", "0");
    assert.equal((await life(here, daemon, [first!])).foreseen, 0, "there is nothing to send");
    assert.doesNotMatch(daemon.log, /not what the policy planned/);
    await daemon.end();
  }),
);

/** Clock ticks of processor time that the busiest thread of a process has had, other than its first: proc(5). */
function busiest(pid: number): number {
  const others = readdirSync(`/proc/${pid}/task`).filter((thread) => Number(thread) !== pid);
  const ticks = others.map((thread) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return Math.max(...ticks);
}

kernelTest("answers.spin: a thread never sleeps, which is said; with the in-kernel path manager it does nothing", () =>
  world(async (here) => {
    const { lab, client } = here;
    const file = configFile(`${CONFIG}answers: { spin: true }\n`);
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", file);
    await daemon.logged(/answers\.spin: a thread never sleeps/);
    await daemon.logged(/warmed up/);
    const before = busiest(daemon.pid);
    await lab.waitFor(() => busiest(daemon.pid) >= before + 50, DEADLINE, "half a second of a processor");
    const pair = ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2"];
    assert.equal((await life(here, daemon, pair)).foreseen, 0);
    assert.equal((await life(here, daemon, pair)).foreseen, 1);
    await daemon.end();
    const other = await DaemonProcess.start(lab, client, "--path-manager", "kernel", "--config", file);
    await other.logged(/answers\.spin has no effect/);
    await other.end();
  }),
);

kernelTest("IPv6, and IPv4 in an IPv6 socket, are foreseen each by itself", () =>
  world(async (here) => {
    const daemon = await DaemonProcess.start(here.lab, here.client, ...USERSPACE, "--config", configFile(CONFIG));
    const v6 = ["fd00:1::1>fd00:1::2", "fd00:2::1>fd00:1::2"];
    assert.equal((await life(here, daemon, v6, "fd00:1::2")).foreseen, 0);
    assert.equal((await life(here, daemon, v6, "fd00:1::2")).foreseen, 1);
    const mapped = ["10.0.2.1>10.0.1.2", "::ffff:10.0.1.1>::ffff:10.0.1.2"];
    const dual = ["::", "::ffff:10.0.1.2"] as const;
    assert.equal((await life(here, daemon, mapped, ...dual)).foreseen, 0);
    assert.equal((await life(here, daemon, mapped, ...dual)).foreseen, 1);
    assert.doesNotMatch(daemon.log, /not what the policy planned/);
    await daemon.end();
  }),
);

kernelTest("a server's announcement is foreseen, and what it leads to is as ever", () =>
  world(async (here) => {
    const { lab, client, server } = here;
    const ours = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(CONFIG));
    const signal = "endpoints: [{ address: 10.0.2.2, dev: two, flags: [signal] }]\nlimits: { subflows: 4 }\n";
    const theirs = await DaemonProcess.start(lab, server, ...USERSPACE, "--config", configFile(signal));
    const wanted = ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2", "10.0.2.1>10.0.2.2"];
    await life(here, ours, wanted, "0.0.0.0", "10.0.1.2");
    assert.equal((await theirs.hello())?.foreseen, 0);
    // What was learned is laid down when there is time for it: by the second connection, or one of the next.
    for (let lives = 0; lives < 5 && (await theirs.hello())?.foreseen === 0; lives++) {
      await life(here, ours, wanted, "0.0.0.0", "10.0.1.2");
    }
    assert.equal((await theirs.hello())?.foreseen, 1);
    assert.doesNotMatch(ours.log + theirs.log, /not what the policy planned/);
    await ours.end();
    await theirs.end();
  }),
);

const RULES = `${CONFIG}
rules:
  - { match: { remote_port: 5001, side: client }, limits: { subflows: 0 } }
  - { match: { remote_port: 5002 }, limits: { subflows: 1 } }
  - { match: { remote: 10.0.3.0/24 }, interfaces: { deny: [two] } }
  - { match: { local_port: 5003, side: server }, policy: refresh }
`;

kernelTest("what rules decide by port and peer is foreseen for each by itself, and never for another", () =>
  world(async (here) => {
    const daemon = await DaemonProcess.start(here.lab, here.client, ...USERSPACE, "--config", configFile(RULES));
    await daemon.logged(/warmed up/);
    await here.client.ip(["route add 10.0.3.2 via 10.0.1.2 src 10.0.1.1"]);
    const alone = ["10.0.1.1>10.0.1.2"];
    const both = [...alone, "10.0.2.1>10.0.1.2"];
    const lives = [
      [5001, "10.0.1.2", alone],
      [5002, "10.0.1.2", both],
      [5004, "10.0.1.2", both],
      [5004, "10.0.3.2", ["10.0.1.1>10.0.3.2"]],
    ] as const;
    const foreseen = [];
    for (const round of [1, 2, 3]) {
      for (const [port, to, wanted] of lives) {
        const { foreseen: count } = await life(here, daemon, wanted, to, to, port);
        if (round > 1) foreseen.push(count);
      }
    }
    assert.deepEqual(foreseen, [0, 1, 1, 0, 0, 1, 1, 0]);
    subflow(here.client, "endpoint", "add", "10.0.3.1", "dev", "three", "subflow");
    const { foreseen: renewed } = await life(here, daemon, both, "10.0.1.2", "10.0.1.2", 5002);
    assert.equal(renewed, 1, "thought over with the table");
    assert.doesNotMatch(daemon.log, /not what the policy planned/);
    assert.deepEqual((await daemon.hello())?.ahead, { sent: 5, refused: 0 });
    await daemon.end();
  }),
);
