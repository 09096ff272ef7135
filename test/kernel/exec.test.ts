import assert from "node:assert/strict";
import { type ChildProcess, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { type Host, Lab, type Topology } from "../../src/lab/index.ts";
import { listListeners, listPlainTcp, MptcpPm } from "../../src/netlink/index.ts";
import { SUBFLOW } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const TOPOLOGY: Topology = {
  hosts: { client: {}, server: {} },
  links: [{ name: "wire", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } }],
};
const EXEC = [process.execPath, SUBFLOW, "exec"];
const PORT = 8080;

/** Answers every request, and keeps the connection open. */
const NODE_SERVER = `require("node:http").createServer((_, answer) => answer.end("hello\\n")).listen(${PORT})`;
/** Asks once, prints the answer, and stays connected until it is killed. */
const NODE_CLIENT = `
  const agent = new (require("node:http").Agent)({ keepAlive: true });
  require("node:http").get({ host: "10.0.1.2", port: ${PORT}, agent }, (answer) => answer.pipe(process.stdout));
  setTimeout(() => {}, 60_000);`;
const PYTHON_SERVER = `
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
http.server.ThreadingHTTPServer(("", ${PORT}), Handler).serve_forever()`;
const PYTHON_CLIENT = `
import http.client, time
connection = http.client.HTTPConnection("10.0.1.2", ${PORT})
connection.request("GET", "/")
print(connection.getresponse().read(), flush=True)
time.sleep(60)`;
/** Reads its answer slowly enough to be seen at it. */
const CURL_CLIENT = ["curl", "-sS", "--limit-rate", "1k", `http://10.0.1.2:${PORT}/big`];

function installed(program: string): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"].map((folder) => join(folder, program));
  return places.find((file) => existsSync(file));
}

const listens = (host: Host): boolean =>
  listListeners(host.netns).some(({ local }) => local.port === PORT) ||
  listPlainTcp(host.netns).some(({ state, path }) => state === "listening" && path.local.port === PORT);

/** What the kernel says of the connections of a host: MPTCP ones that are no fallback, and plain TCP ones. */
function kinds(host: Host): { mptcp: number; plain: number } {
  using pm = MptcpPm.open({ netns: host.netns });
  const mptcp = pm.connections().filter(({ state, fallback }) => state === "established" && !fallback).length;
  return { mptcp, plain: listPlainTcp(host.netns).filter(({ state }) => state === "established").length };
}

/** A server and a client that are at it. @returns the two, to be ended */
async function begin(lab: Lab, server: readonly string[], client: readonly string[]): Promise<ChildProcess[]> {
  const [left, right] = [lab.host("client"), lab.host("server")];
  const serving = right.spawn(server, { stdio: "ignore" });
  await lab.waitFor(() => listens(right), 10_000, `${server.join(" ")} to listen`);
  const asking = left.spawn(client, { stdio: "ignore" });
  const isConnected = (): boolean => Object.values(kinds(left)).some((count) => count > 0);
  await lab.waitFor(isConnected, 10_000, `${client.join(" ")} to connect`);
  return [serving, asking];
}

async function end(lab: Lab, processes: readonly ChildProcess[]): Promise<void> {
  for (const each of processes) each.kill("SIGKILL");
  await lab.waitFor(() => !listens(lab.host("server")), 10_000, "the server to be gone");
}

const NODE = { server: [process.execPath, "-e", NODE_SERVER], client: [process.execPath, "-e", NODE_CLIENT] };

kernelTest("exec: what would be TCP is MPTCP, for client and server; without it nothing changes", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  const [client, server] = [lab.host("client"), lab.host("server")];
  const both = await begin(lab, [...EXEC, ...NODE.server], [...EXEC, ...NODE.client]);
  assert.deepEqual(
    [kinds(client), kinds(server)],
    [
      { mptcp: 1, plain: 0 },
      { mptcp: 1, plain: 0 },
    ],
  );
  await end(lab, both);
  const neither = await begin(lab, NODE.server, NODE.client);
  assert.deepEqual(kinds(client), { mptcp: 0, plain: 1 });
  await end(lab, neither);
});

kernelTest("exec: where the kernel has no MPTCP it is plain TCP, and said", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  for (const { name } of lab.hosts) lab.host(name).sysctl("net.mptcp.enabled", 0);
  const both = await begin(lab, [...EXEC, ...NODE.server], [...EXEC, ...NODE.client]);
  assert.deepEqual(kinds(lab.host("client")), { mptcp: 0, plain: 1 });
  const { stderr } = await lab.host("client").exec([...EXEC, "true"]);
  assert.match(stderr, /Warning: net\.mptcp\.enabled is 0, so this is plain TCP/);
  await end(lab, both);
});

/** Programs that people have: each is tried where it is installed. */
function programTest(
  name: string,
  needs: readonly string[],
  run: (lab: Lab, context: TestContext) => Promise<void>,
): void {
  kernelTest(`exec: ${name}`, async (context) => {
    const missing = needs.filter((program) => installed(program) === undefined);
    if (missing.length > 0) return context.skip(`not installed: ${missing.join(", ")}`);
    await using lab = await Lab.create(TOPOLOGY);
    await run(lab, context);
  });
}

programTest("python3 on both sides", ["python3"], async (lab) => {
  const both = await begin(lab, [...EXEC, "python3", "-c", PYTHON_SERVER], [...EXEC, "python3", "-c", PYTHON_CLIENT]);
  assert.deepEqual(kinds(lab.host("client")), { mptcp: 1, plain: 0 });
  await end(lab, both);
});

programTest("curl from nginx", ["curl", "nginx"], async (lab, context) => {
  const folder = mkdtempSync(join(tmpdir(), "subflow-exec-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "big"), Buffer.alloc(4 << 20));
  const configuration = join(folder, "nginx.conf");
  writeFileSync(
    configuration,
    `daemon off; pid ${folder}/pid; error_log stderr; user root; events {}
     http { access_log off; client_body_temp_path ${folder}/body; server { listen ${PORT}; root ${folder}; } }`,
  );
  const nginx = [...EXEC, installed("nginx")!, "-p", folder, "-c", configuration];
  const both = await begin(lab, nginx, [...EXEC, ...CURL_CLIENT]);
  const [client, server] = [lab.host("client"), lab.host("server")];
  assert.deepEqual(
    [kinds(client), kinds(server)],
    [
      { mptcp: 1, plain: 0 },
      { mptcp: 1, plain: 0 },
    ],
  );
  both[1]!.kill("SIGKILL");
  both[0]!.kill("SIGTERM"); // ends its workers, too
  await lab.waitFor(() => !listens(server), 10_000, "nginx to be gone");
});

kernelTest("exec: the program is in our place: status, signal, process, descriptors, limits, bytes", () => {
  const run = (words: readonly string[], options: Parameters<typeof spawnSync>[2] = {}) =>
    spawnSync(EXEC[0]!, [...EXEC.slice(1), ...words], { encoding: "utf8", ...options }) as {
      pid: number;
      status: number | null;
      signal: string | null;
      stdout: string;
      stderr: string;
    };
  assert.equal(run(["sh", "-c", "exit 37"]).status, 37);
  assert.equal(run(["sh", "-c", "kill -USR1 $$"]).signal, "SIGUSR1");
  const own = run(["sh", "-c", "echo $$"]);
  assert.equal(Number(own.stdout), own.pid);
  const file = openSync("/proc/sys/kernel/ostype", "r");
  assert.equal(run(["sh", "-c", "cat <&3"], { stdio: ["ignore", "pipe", "inherit", file] }).stdout, "Linux\n");
  closeSync(file);
  const limited = ["-c", 'ulimit -Sn 333 && "$@"; true', "sh", ...EXEC, "sh", "-c", "ulimit -Sn"];
  assert.equal(spawnSync("sh", limited, { encoding: "utf8" }).stdout, "333\n");
  assert.equal(run(["sh", "-c", 'printf "%s|" "$@"', "sh", "a b", "", "-j", "--help"]).stdout, "a b||-j|--help|");
  const odd = ["-c", `"$@" sh -c 'printf %s "$1" | od -An -tx1' sh "$(printf '\\377')"`, "sh", ...EXEC];
  assert.equal(spawnSync("sh", odd, { encoding: "utf8" }).stdout.trim(), "ff");
  // SIGPIPE, which Node ignores, ends it as ever.
  const mask = /^SigIgn:\s*(\w+)/m.exec(run(["cat", "/proc/self/status"]).stdout)?.[1];
  assert.equal(Number.parseInt(mask ?? "", 16) & ((1 << 12) | (1 << 24)), 0);
});

kernelTest("exec: what cannot be run is refused as env(1) does", () => {
  for (const [words, status, says] of [
    [["no-such-program"], 127, /there is no program "no-such-program" in PATH/],
    [["/etc/passwd"], 126, /may not be executed/],
    [["/"], 126, /is a directory/],
    [[], 255, /COMMAND.*required/],
    [["--"], 255, /COMMAND.*required/],
    [["--fast", "true"], 255, /Unknown option '--fast'/],
  ] as const) {
    const done = spawnSync(EXEC[0]!, [...EXEC.slice(1), ...words], { encoding: "utf8" });
    assert.equal(done.status, status, done.stderr);
    assert.match(done.stderr, says);
  }
});
