import assert from "node:assert/strict";
import { type ChildProcess, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Host, Lab, type Topology } from "../../src/lab/index.ts";
import { type Apps, listApps } from "../../src/programs/index.ts";
import { conforms } from "../fixtures/schemas.ts";
import { SUBFLOW, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const TOPOLOGY: Topology = {
  hosts: { client: {}, server: {} },
  links: [{ name: "wire", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } }],
};
const EXEC = [process.execPath, SUBFLOW, "exec"];
const ESBUILD = join(
  ...[dirname(createRequire(import.meta.url).resolve("esbuild/package.json")), "..", "@esbuild"],
  ...[`linux-${process.arch}`, "bin", "esbuild"],
);

const listening = (port: number): string[] => [
  process.execPath,
  "-e",
  `require("node:net").createServer((socket) => socket.on("error", () => {})).listen(${port})`,
];
const connecting = (port: number): string[] => [
  process.execPath,
  "-e",
  `require("node:net").connect(${port}, "10.0.1.2"); setTimeout(() => {}, 60_000)`,
];

type Found = Apps["apps"][number];
const appOf = (host: Host, { pid }: ChildProcess): Found | undefined =>
  listApps(host.netns).apps.find((app) => app.pid === pid);

kernelTest("apps: MPTCP, plain TCP, and both ways to fall back, each with its program", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  const [client, server] = [lab.host("client"), lab.host("server")];
  const start = (host: Host, command: readonly string[]): ChildProcess => host.spawn(command, { stdio: "ignore" });
  const [asked, plain] = [start(server, [...EXEC, ...listening(5001)]), start(server, listening(5002))];
  const listens = (): boolean =>
    appOf(server, asked)?.listens.mptcp[0] === 5001 && appOf(server, plain)?.listens.tcp[0] === 5002;
  await lab.waitFor(listens, 10_000, "both servers");
  const good = start(client, [...EXEC, ...connecting(5001)]);
  const unasked = start(client, connecting(5001));
  const refused = start(client, [...EXEC, ...connecting(5002)]);
  const isConnected = (process: ChildProcess): boolean => {
    const app = appOf(client, process);
    return app !== undefined && app.mptcp + app.tcp + app.fellBack.length === 1;
  };
  await lab.waitFor(() => [good, unasked, refused].every(isConnected), 10_000, "three clients");
  const seen = (host: Host, process: ChildProcess): unknown[] => {
    const app = appOf(host, process);
    return [app?.mptcp, app?.tcp, app?.fellBack.map(({ reason, count }) => `${reason} ${count}`)];
  };
  assert.deepEqual(seen(client, good), [1, 0, []]);
  assert.deepEqual(seen(client, unasked), [0, 1, []]);
  assert.deepEqual(seen(client, refused), [0, 0, ["refused-by-peer 1"]]);
  assert.deepEqual(seen(server, asked), [1, 0, ["not-asked 1"]]);
  assert.deepEqual(seen(server, plain), [0, 1, []]);

  const json = conforms<{ apps: { pid: number; remedy?: string }[] }>("apps", subflow(server, "-j", "apps").stdout);
  assert.match(json.apps.find(({ pid }) => pid === plain.pid)?.remedy ?? "", /^subflow exec |^sudo subflow enable /);
  assert.equal(json.apps.find(({ pid }) => pid === asked.pid)?.remedy, undefined);
  const { stdout } = subflow(server, "apps");
  assert.match(stdout, new RegExp(`^ *${asked.pid} .* 1 +1 +0 +mptcp 5001\\n +1 fell back: the peer did not ask`, "m"));
  assert.match(stdout, new RegExp(`^ *${plain.pid} .* 0 +0 +1 +tcp 5002\\n +plain TCP could be MPTCP`, "m"));
  const examined = subflow(client, "doctor", process.execPath);
  assert.equal(examined.status, 3, examined.stderr);
  assert.match(examined.stdout, /^warning 1 of its connections is plain TCP \(process \d+\) \[program-tcp\]$/m);
  assert.match(examined.stdout, /^warning 1 connection is plain TCP: the answer to the SYN had no MPTCP/m);
  assert.match(examined.stdout, /^ok +1 connection uses MPTCP/m);
  const { findings } = conforms<{ findings: { id: string }[] }>("doctor", subflow(client, "-j", "doctor", "sh").stdout);
  assert.ok(findings.some(({ id }) => id === "program-running"));
});

kernelTest("apps: without root the connections of others are counted, and it says what is not seen", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  const server = lab.host("server");
  const plain = server.spawn(listening(5002), { stdio: "ignore" });
  await lab.waitFor(() => appOf(server, plain) !== undefined, 10_000, "the server");
  const nobody = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all",
  ];
  const inside = ["nsenter", `--target=${server.pid}`, "--net", "--", ...nobody, process.execPath, SUBFLOW];
  const look = (...words: string[]) => spawnSync(inside[0]!, [...inside.slice(1), ...words], { encoding: "utf8" });
  const { stdout, stderr, status } = look("apps");
  assert.equal(status, 0, stderr);
  assert.match(stdout, /\(not seen\) +0 +0 +0 +tcp 5002$/m);
  assert.match(stderr, /processes of others may not be looked at: root sees/);
  assert.equal(conforms<Apps>("apps", look("-j", "apps").stdout).apps.length, 0);
});

kernelTest("exec: a static Go program uses MPTCP by its own means", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  const server = lab.host("server");
  const serve = [ESBUILD, `--servedir=${import.meta.dirname}`, "--serve=10.0.1.2:5003"];
  for (const [command, expected] of [
    [serve, { mptcp: [], tcp: [5003] }],
    [[...EXEC, ...serve], { mptcp: [5003], tcp: [] }],
  ] as const) {
    const go = server.spawn(command, { stdio: ["pipe", "ignore", "inherit"] });
    await lab.waitFor(
      () => (appOf(server, go)?.listens.mptcp ?? appOf(server, go)?.listens.tcp) !== undefined,
      10_000,
      "esbuild",
    );
    assert.deepEqual(appOf(server, go)?.listens, expected);
    go.kill("SIGKILL");
    await lab.waitFor(() => appOf(server, go) === undefined, 10_000, "its end");
  }
});
