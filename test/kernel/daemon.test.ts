import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, runtimeFiles } from "../../src/control/index.ts";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { MptcpPm, readPathManager, writePathManager } from "../../src/netlink/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const USERSPACE = ["--path-manager", "userspace", "--no-automatic"];

interface Two {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
}

async function twoPaths(use: (two: Two) => Promise<void>): Promise<void> {
  await using lab = await Lab.create({
    // The server answers 10.0.2.1 by the link it is on: a subflow bound to its device hears nothing from another.
    hosts: { client: { sourceRoutes: true }, server: {} },
    links: [
      { name: "wifi", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
      { name: "cell", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
    ],
  });
  await use({ lab, client: lab.host("client"), server: lab.host("server") });
}

/** A connection with some bytes both ways, so that it is fully established at both ends. */
async function connected({ client, server }: Two) {
  const service = await server.listen({ address: "10.0.1.2" });
  const connection = await service.connect(client.netns);
  assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
  assert.ok((await transfer(connection.server, connection.client, 1000)).isIntact);
  return connection;
}

const SECOND = `
limits: { subflows: 4, add_addr_accepted: 2 }
endpoints:
  - { address: 10.0.2.1, dev: cell, flags: [subflow] }
`;

kernelTest("a second subflow comes, the path manager is taken over and given back", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    writePathManager("kernel", client.netns);
    const ours = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(SECOND));
    const theirs = await DaemonProcess.start(lab, server, ...USERSPACE);
    assert.equal(readPathManager(client.netns), "userspace");
    assert.equal(subflow(client, "limits").stdout, "add_addr_accepted 2 subflows 4 \n");
    assert.equal(subflow(client, "endpoint").stdout, "10.0.2.1 id 1 subflow dev cell \n");
    await connected(two);
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the second subflow");
    assert.deepEqual(pathsOf(client), ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2"]);
    assert.equal(await ours.end(), 0);
    assert.equal(await theirs.end(), 0);
    assert.equal(readPathManager(client.netns), "kernel", "given back");
    assert.equal(pathsOf(client).length, 2, "connections keep their subflows");
    assert.equal(existsSync(runtimeFiles(client.netns).socket), false, "nothing is left behind");
  }),
);

kernelTest("a second daemon in the same namespace is refused, one in another is not", () =>
  twoPaths(async ({ lab, client, server }) => {
    const first = await DaemonProcess.start(lab, client, ...USERSPACE);
    const second = await DaemonProcess.fail(lab, client, ...USERSPACE);
    assert.equal(second.code, 1);
    assert.match(second.log, new RegExp(`runs already .*process ${first.pid}`));
    await (await DaemonProcess.start(lab, server, ...USERSPACE)).end();
    assert.equal(readPathManager(client.netns), "userspace", "the refused one changed nothing");
    await first.end();
  }),
);

kernelTest("kill -9 and restart: no subflow twice, none lost, endpoints of the command line kept", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    await DaemonProcess.start(lab, server, ...USERSPACE);
    const first = await DaemonProcess.start(lab, client, ...USERSPACE);
    assert.equal(subflow(client, "endpoint", "add", "10.0.2.1", "dev", "cell", "subflow").status, 0);
    assert.equal(subflow(client, "limits", "set", "subflows", "3").status, 0);
    await connected(two);
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the second subflow");
    await first.end("SIGKILL");
    const before = connectionsOf(client)[0]
      ?.subflows.map(({ path }) => path.local.port)
      .sort();
    const second = await DaemonProcess.start(lab, client, ...USERSPACE);
    assert.equal((await second.hello())?.connections, 1, "adopted");
    assert.equal(subflow(client, "endpoint").stdout, "10.0.2.1 id 1 subflow dev cell \n");
    assert.equal(subflow(client, "limits").stdout, "add_addr_accepted 0 subflows 3 \n");
    // A new connection comes after the old one was looked at: when it has its subflow, the old one had its chance.
    await connectedAgain(two);
    await lab.waitFor(() => pathsOf(client).length === 4, DEADLINE, "the new connection's second subflow");
    const old = connectionsOf(client).find(({ subflows }) =>
      subflows.some(({ path }) => path.local.port === before?.[0]),
    );
    assert.deepEqual(old?.subflows.map(({ path }) => path.local.port).sort(), before);
    assert.equal(await second.end(), 0);
    assert.equal(readPathManager(client.netns), "kernel", "as before the first life");
  }),
);

async function connectedAgain({ client, server }: Two): Promise<void> {
  const service = await server.listen({ address: "10.0.1.2", port: 6000 });
  const connection = await service.connect(client.netns);
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
}

kernelTest("connections that exist before the daemon are adopted and get their subflow", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    for (const host of [client, server]) writePathManager("userspace", host.netns);
    await connected(two);
    assert.equal(pathsOf(client).length, 1);
    await DaemonProcess.start(lab, server, ...USERSPACE);
    await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(SECOND));
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the adopted connection's second subflow");
  }),
);

kernelTest("a connection of the in-kernel path manager is left alone", () =>
  twoPaths(async (two) => {
    const { lab, client } = two;
    await connected(two);
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(SECOND));
    assert.equal((await daemon.hello())?.connections, 0);
    const token = connectionsOf(client)[0]?.token.toString(16) ?? "";
    assert.match(subflow(client, "why", token).stdout, /in-kernel path manager has this connection/);
    assert.equal(pathsOf(client).length, 1);
  }),
);

kernelTest("SIGHUP reads the configuration again and drops nothing; a wrong one changes nothing", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    await DaemonProcess.start(lab, server, ...USERSPACE);
    const config = configFile("limits: { subflows: 2 }\n");
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", config);
    await connected(two);
    writeFileSync(config, SECOND);
    daemon.signal("SIGHUP");
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the new endpoint's subflow");
    writeFileSync(config, "limts: { subflows: 1 }\n");
    daemon.signal("SIGHUP");
    await daemon.logged(/:1:1: unknown key .*limts.*did you mean .*limits/);
    assert.equal(subflow(client, "limits").stdout, "add_addr_accepted 2 subflows 4 \n");
    assert.equal(pathsOf(client).length, 2);
  }),
);

kernelTest("the control socket: mode, bad lines, unknown versions, too long lines", () =>
  twoPaths(async ({ lab, client }) => {
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE);
    const { socket } = runtimeFiles(client.netns);
    assert.equal(statSync(socket).mode & 0o777, 0o660);
    const cases: [string, RegExp][] = [
      ["nonsense\n", /not JSON/],
      ["[]\n", /an object with v, id, method/],
      ['{"v":2,"id":7,"method":"hello"}\n', /"id":7.*"VERSION".*version 1 .*not 2/],
      ['{"v":1,"id":8}\n', /"id":8.*method is missing/],
      ['{"v":1,"id":9,"method":"explode"}\n', /unknown method/],
      ['{"v":1,"id":9,"method":"endpoint.add","params":{"address":"10.0.0.300","flags":2}}\n', /not an IP address/],
      ['{"v":1,"id":9,"method":"endpoint.add","params":{"address":"10.0.0.3","flags":2,"id":256}}\n', /256/],
      [
        '{"v":1,"id":9,"method":"endpoint.delete","params":{"id":9}}\n',
        /"KERNEL".*22.*address not found|address not found/,
      ],
      [`{"v":1,"id":1,"method":"${"x".repeat(70_000)}"}`, /at most 65536 bytes/],
    ];
    for (const [line, answer] of cases) assert.match(await exchange(socket, line), answer);
    assert.equal((await ask("hello", {}, { netns: client.netns })).pid, daemon.pid, "none of it was fatal");
  }),
);

function exchange(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(line));
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      resolve(chunk);
      socket.destroy();
    });
    socket.on("error", reject);
    socket.setTimeout(DEADLINE, () => reject(new Error(`no answer to ${line.slice(0, 80)}`)));
  });
}

kernelTest("lost events are survived: after an overrun every connection has its subflow", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    await DaemonProcess.start(lab, server, ...USERSPACE);
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE, "--config", configFile(SECOND));
    // A stopped daemon reads nothing: its connections are made while its socket's buffer is all there is.
    daemon.signal("SIGSTOP");
    const service = await server.listen({ address: "10.0.1.2" });
    const connections = await Promise.all(Array.from({ length: 20 }, () => service.connect(client.netns)));
    for (const { client: end, server: other } of connections) {
      await transfer(end, other, 100);
      await transfer(other, end, 100);
    }
    daemon.signal("SIGCONT");
    await lab.waitFor(() => pathsOf(client).length === 40, DEADLINE, "a second subflow for each of 20 connections");
  }),
);

const RECEIVER =
  'socket(S,AF_UNIX,SOCK_DGRAM,0);bind(S,sockaddr_un($ARGV[0]));$|=1;print"bound\\n";while(defined recv(S,$b,4096,0)){print"$b\\n"}';

kernelTest("sd_notify: READY=1 when it answers, WATCHDOG=1 while it serves, STOPPING=1 at the end", () =>
  twoPaths(async ({ lab, client }) => {
    const path = join(mkdtempSync(join(tmpdir(), "subflow-notify-")), "notify");
    // Node has no datagram Unix sockets; perl-base is on every Debian.
    const receiver = client.spawn(["perl", "-MSocket", "-e", RECEIVER, path], { stdio: ["ignore", "pipe", "inherit"] });
    let told = "";
    receiver.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      told += chunk;
    });
    await lab.waitFor(() => told.includes("bound"), DEADLINE, "the receiver");
    Object.assign(process.env, { NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" });
    const daemon = await DaemonProcess.start(lab, client, ...USERSPACE).finally(() => {
      delete process.env.NOTIFY_SOCKET;
      delete process.env.WATCHDOG_USEC;
    });
    await lab.waitFor(() => told.includes("READY=1"), DEADLINE, "READY=1");
    const alive = (): number => told.split("WATCHDOG=1").length;
    const before = alive();
    await lab.waitFor(() => alive() >= before + 3, DEADLINE, "WATCHDOG=1, again and again");
    await daemon.end();
    await lab.waitFor(() => told.includes("STOPPING=1"), DEADLINE, "STOPPING=1");
    rmSync(path, { force: true });
  }),
);

kernelTest("a port endpoint: joins are taken, plain connections are not served", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    await DaemonProcess.start(
      lab,
      client,
      ...USERSPACE,
      "--config",
      configFile("limits: { subflows: 2, add_addr_accepted: 2 }\n"),
    );
    const config = configFile("endpoints: [{ address: 10.0.2.2, dev: cell, flags: [signal], port: 7777 }]\n");
    await DaemonProcess.start(lab, server, ...USERSPACE, "--config", config);
    await connected(two);
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the join to the announced port");
    const join = connectionsOf(client)[0]?.subflows.find((each) => each.join);
    assert.deepEqual(join?.path.remote, { address: "10.0.2.2", port: 7777 });
    const plain = await client.exec([
      process.execPath,
      "-e",
      `const s=require("net").connect(7777,"10.0.2.2");s.on("data",()=>console.log("served"));s.on("error",e=>console.log(e.code));s.on("close",()=>console.log("closed"));s.on("connect",()=>s.write("x"));setTimeout(()=>process.exit(),3000)`,
    ]);
    assert.match(plain.stdout, /ECONNRE(SET|FUSED)|closed/);
    assert.doesNotMatch(plain.stdout, /served/);
  }),
);

kernelTest("without rights it says what it needs, with a wrong configuration where, and changes nothing", () =>
  twoPaths(async ({ lab, client }) => {
    const bad = await DaemonProcess.fail(
      lab,
      client,
      "--config",
      configFile("endpoints:\n  - address: 10.0.0.1\n    flags: [sgnal]\n"),
    );
    assert.equal(bad.code, 1);
    assert.match(bad.log, /:3:13: endpoints\[0\]\.flags\[0\]: "sgnal" is none of .*did you mean "signal"/);
    assert.equal(readPathManager(client.netns), "kernel");
    const { stderr } = await client.exec(
      ["setpriv", "--bounding-set=-all", "--inh-caps=-all", process.execPath, "bin/subflow", "run"],
      {
        mayFail: true,
      },
    );
    assert.match(stderr, /CAP_NET_ADMIN/);
    using pm = MptcpPm.open({ netns: client.netns });
    assert.deepEqual(pm.endpoints(), []);
  }),
);
