import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runtimeFiles } from "../../src/control/index.ts";
import { Lab } from "../../src/lab/index.ts";
import { readPathManager, writePathManager } from "../../src/netlink/index.ts";
import { DaemonProcess, DEADLINE, SUBFLOW, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const USERSPACE = ["--path-manager", "userspace", "--no-automatic"];
const NOBODY = 65534;

kernelTest("five daemons started at once in one namespace: one serves, the others say who has it", async () => {
  await using lab = await Lab.create({ hosts: { host: {} }, links: [] });
  const host = lab.host("host");
  const daemons = Array.from({ length: 5 }, () => DaemonProcess.launch(lab, host, ...USERSPACE));
  const statuses = () => daemons.map(({ status }) => status);
  await lab.waitFor(() => statuses().filter((status) => status === 1).length === 4, DEADLINE, "four refusals");
  const winner = daemons.find(({ status }) => status === undefined);
  await winner?.ready();
  for (const { log } of daemons.filter((each) => each !== winner)) assert.match(log, /runs already/);
  assert.equal(await winner?.end(), 0);
  assert.equal(readPathManager(host.netns), "kernel");
});

kernelTest(
  "what a killed daemon left, and links that somebody planted beside it, keep no daemon from starting",
  async () => {
    await using lab = await Lab.create({ hosts: { host: {} }, links: [] });
    const host = lab.host("host");
    const first = await DaemonProcess.start(lab, host, ...USERSPACE);
    await first.end("SIGKILL");
    const files = runtimeFiles(host.netns);
    for (const path of [files.socket, files.state, files.lock]) assert.ok(existsSync(path), path);
    const victim = join(dirname(files.state), "victim");
    writeFileSync(victim, "precious");
    symlinkSync(victim, `${files.state}.new`);
    rmSync(files.socket);
    symlinkSync(victim, files.socket);
    const second = await DaemonProcess.start(lab, host, ...USERSPACE);
    assert.equal(subflow(host, "limits").status, 0);
    assert.equal(await second.end(), 0);
    assert.deepEqual(
      readdirSync(files.directory).filter((name) => name.startsWith(files.lock.slice(files.directory.length + 1, -5))),
      [],
    );
  },
);

kernelTest("a daemon of another version of the protocol is named, not denied", async (context) => {
  await using lab = await Lab.create({ hosts: { host: {} }, links: [] });
  const host = lab.host("host");
  const server = createServer((socket) => socket.on("data", () => socket.end('{"v":2,"id":1,"result":{}}\n')));
  context.after(() => server.close());
  server.listen(runtimeFiles(host.netns).socket);
  await once(server, "listening");
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [SUBFLOW, "-n", host.netns, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
    const [status] = await once(child, "close");
    return { status, said };
  };
  const shown = await run("status");
  assert.match(shown.said, /speaks version 2 of the control protocol, this command version 1/);
  assert.doesNotMatch(shown.said, /no Subflow daemon answers/);
  writePathManager("userspace", host.netns);
  const refused = await run("limits");
  assert.equal(refused.status, 1);
  assert.match(refused.said, /^Error: the Subflow daemon here speaks version 2/);
});

/** As an ordinary user, with a /run of which only root may have subflow's part. */
const AS_USER = `
mount -t tmpfs run /run && mkdir -m 755 /run/subflow &&
exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups -- unshare -Urn "$@"
`;

kernelTest(
  "an ordinary user's daemon in a namespace of its own works although /run/subflow is root's",
  async (context) => {
    const isRoot =
      process.geteuid?.() === 0 && spawnSync("setpriv", [`--reuid=${NOBODY}`, "unshare", "-Urn", "true"]).status === 0;
    if (!isRoot) return context.skip("needs root, and user namespaces for ordinary users");
    const directory = mkdtempSync(join(tmpdir(), "subflow-user-"));
    context.after(() => rmSync(directory, { recursive: true, force: true }));
    for (const name of ["run", "home"]) {
      mkdirSync(join(directory, name), { mode: 0o700 });
      chownSync(join(directory, name), NOBODY, NOBODY);
    }
    chownSync(directory, NOBODY, NOBODY);
    const script = `"$0" "$1" run --path-manager userspace & until "$0" "$1" status | grep "^ *process"; do kill -0 $! || exit 9; done; kill $!; wait $!`;
    for (const environment of [
      { XDG_RUNTIME_DIR: join(directory, "run"), HOME: "/nowhere" },
      { HOME: join(directory, "home") },
    ]) {
      const words = ["--mount", "sh", "-ec", AS_USER, "sh", "sh", "-c", script, process.execPath, SUBFLOW];
      const { PATH } = process.env;
      const child = spawn("unshare", words, { env: { PATH, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (said += text));
      const [status] = await once(child, "exit", { signal: AbortSignal.timeout(DEADLINE) });
      assert.equal(status, 0, said);
      assert.match(said, /process .* path manager userspace/);
    }
    const used = readdirSync(directory, { recursive: true }).map(String);
    assert.ok(used.includes("run/subflow") && used.includes("home/.local/state/subflow"), used.join());
  },
);
