import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { conforms } from "../fixtures/schemas.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, SUBFLOW, subflow } from "./daemon-support.ts";
import { inWorld, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

interface History {
  readonly connections: readonly {
    readonly token: string;
    readonly uid?: number;
    readonly is_open: boolean;
    readonly path: { readonly local: { readonly address: string } };
    readonly subflows: number;
  }[];
  readonly story?: readonly { readonly type: string; readonly words: string }[];
}

/** A user that nobody is, and another one. */
const [STRANGER, OTHER] = [61_234, 61_235];
const asUser = (uid: number): string[] => ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
/** A connection that says hello and waits for the end of its stdin. */
const PROGRAM = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.connect(("10.0.1.2", 4000))
s.sendall(b"hello")
sys.stdin.read()
`;
/** What it says nobody reads: so whoever closes ends the connection at once, and waits for nobody. */
const SERVER = `
import select, socket
l = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
l.bind(("0.0.0.0", 4000)); l.listen(8)
all = [l]
print("listens", flush=True)
while True:
    for s in select.select(all, [], [])[0]:
        if s is l: all.append(l.accept()[0]); all[-1].sendall(b"hello")
        else:
            try: left = s.recv(65536)
            except OSError: left = b""
            if not left: all.remove(s); s.close()
`;

function spawnBy({ client }: World, uid: number) {
  const words = [...asUser(uid), "/usr/bin/python3", "-c", PROGRAM];
  return client.spawn(words, { stdio: ["pipe", "ignore", "inherit"] });
}

function ask({ client }: World, uid: number, ...words: string[]) {
  const command = [`--net=${client.netns}`, ...asUser(uid), process.execPath, SUBFLOW, ...words];
  return spawnSync("nsenter", command, { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
}

function historyOf(world: World, uid: number, ...words: string[]): History {
  const { stdout, stderr } = ask(world, uid, "-j", "history", ...words);
  assert.notEqual(stdout, "", stderr);
  return conforms<History>("history", stdout);
}

const tokenOf = ({ client }: World, uid: number): string =>
  (connectionsOf(client).find((each) => each.uid === uid)?.token ?? 0).toString(16).padStart(8, "0");

const subflowsOf = ({ client }: World, uid: number): number =>
  (connectionsOf(client).find((each) => each.uid === uid)?.subflows ?? []).filter(
    ({ state }) => state === "established",
  ).length;

for (const manager of ["userspace", "kernel"] as const)
  kernelTest(
    `history, ${manager}: who may not read the black box is told of their own connections, over restarts`,
    (t) =>
      inWorld(2, async (world) => {
        if (process.getuid?.() !== 0) return t.skip("needs root: other users are tried");
        if (spawnSync(asUser(STRANGER)[0]!, [...asUser(STRANGER).slice(1), "/usr/bin/python3", "-c", "0"]).status !== 0)
          return t.skip("there is no other user here, or no Python");
        const { lab, client, server } = world;
        for (const directory of ["SUBFLOW_STATE_DIRECTORY", "SUBFLOW_RUNTIME_DIRECTORY"])
          if (process.env[directory]) chmodSync(process.env[directory], 0o711);
        const file = configFile(`path_manager: ${manager}\n`);
        const daemon = await DaemonProcess.start(lab, client, "--config", file);
        const service = server.spawn(["/usr/bin/python3", "-c", SERVER], { stdio: ["ignore", "pipe", "inherit"] });
        await new Promise((resolve) => service.stdout?.once("data", resolve));
        const roots = spawnBy(world, 0);
        await lab.waitFor(() => subflowsOf(world, 0) === 2, DEADLINE, "root's connection");
        const rootsToken = tokenOf(world, 0);
        const mine = spawnBy(world, STRANGER);
        await lab.waitFor(
          () => subflowsOf(world, STRANGER) === 2,
          DEADLINE,
          "their connection, with its second subflow",
        );
        const token = tokenOf(world, STRANGER);
        assert.deepEqual(
          historyOf(world, STRANGER).connections.map((each) => [each.token, each.uid, each.is_open]),
          [[token, STRANGER, true]],
          "theirs alone",
        );
        assert.match(ask(world, OTHER, "history").stdout, /^no connection of yours since /);
        for (const [uid, wanted] of [
          [OTHER, token],
          [STRANGER, rootsToken],
          [STRANGER, "00000001"],
        ] as const) {
          const { status, stderr } = ask(world, uid, "history", wanted);
          assert.equal(status, 1);
          assert.equal(
            stderr,
            `Error: nothing is known of a connection ${wanted} among yours.\n`,
            "one like the other",
          );
        }
        mine.stdin?.end();
        await lab.waitFor(() => subflowsOf(world, STRANGER) === 0, DEADLINE, "the program's end");
        await lab.waitFor(() => !historyOf(world, STRANGER).connections[0]?.is_open, DEADLINE, "its end");
        assert.equal(await daemon.end("SIGKILL"), null);

        const next = await DaemonProcess.start(lab, client, "--config", file);
        const story = historyOf(world, STRANGER, token).story ?? [];
        assert.equal(story.at(-1)?.type, "connection.closed");
        assert.ok(
          story.some(({ words }) => /subflow over eth2 established: 10\.0\.2\.1:/.test(words)),
          JSON.stringify(story),
        );
        const all = conforms<History>("history", subflow(client, "-j", "history").stdout).connections;
        assert.deepEqual(new Set(all.map(({ uid }) => uid)), new Set([0, STRANGER]), "root sees whose each is");

        writeFileSync(file, `path_manager: ${manager}\nprivacy: mask\n`);
        next.signal("SIGHUP");
        await next.logged(/read again/);
        const masked = spawnBy(world, OTHER);
        await lab.waitFor(() => historyOf(world, OTHER).connections.length === 1, DEADLINE, "the other's connection");
        assert.doesNotMatch(JSON.stringify(historyOf(world, OTHER, tokenOf(world, OTHER))), /10\.0\.[12]\./);
        const record = subflow(client, "record", configFile("", "mixed.rec"), "--last", "1h");
        assert.match(record.stderr, /its addresses are masked in part: before/);
        masked.stdin?.end();

        writeFileSync(file, `path_manager: ${manager}\nblack_box: off\n`);
        next.signal("SIGHUP");
        await lab.waitFor(
          () => /there is no history: the daemon's black box is off/.test(ask(world, OTHER, "history").stderr),
          DEADLINE,
          "the black box's end",
        );
        roots.stdin?.end();
        assert.equal(await next.end(), 0);
      }),
  );
