import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask } from "../../src/control/index.ts";
import { type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { type Difference, Player, RecordingReader } from "../../src/recording/index.ts";
import { conforms } from "../fixtures/schemas.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf, SUBFLOW, subflow } from "./daemon-support.ts";
import { connected, inWorld, OUTAGES, type Outage, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const state = mkdtempSync(join(tmpdir(), "subflow-test-state-"));
process.env.SUBFLOW_STATE_DIRECTORY = state;
process.on("exit", () => rmSync(state, { recursive: true, force: true }));

/** What the black boxes of all daemons here hold, played. */
function playAll(): Player & { readonly differences: Difference[] } {
  const differences: Difference[] = [];
  const player = new Player({ onDifference: (difference) => differences.push(difference) });
  for (const directory of readdirSync(state).filter((name) => name.startsWith("black-box"))) {
    for (const file of readdirSync(join(state, directory)).sort()) {
      const reader = new RecordingReader();
      for (const entry of reader.push(readFileSync(join(state, directory, file)))) player.play(entry);
      for (const entry of reader.end()) player.play(entry);
    }
    rmSync(join(state, directory), { recursive: true });
  }
  return Object.assign(player, { differences });
}

/** What stands in all files of black boxes here. */
function bytesOfAll(): string {
  const directories = readdirSync(state).filter((name) => name.startsWith("black-box"));
  const files = directories.flatMap((name) => readdirSync(join(state, name)).map((file) => join(state, name, file)));
  return files.map((file) => readFileSync(file, "latin1")).join("");
}

async function exchange({ client, server }: TrafficConnection): Promise<void> {
  const reports = await Promise.all([transfer(client, server, 50_000), transfer(server, client, 50_000)]);
  assert.ok(reports.every(({ isIntact }) => isIntact));
}

/** The second link goes in these ways and comes back. The in-kernel path manager does not always use it again. */
async function flap(
  world: World,
  connection: TrafficConnection,
  ways: readonly Outage[],
  isOurs: boolean,
): Promise<void> {
  const { lab, client } = world;
  for (const way of ways) {
    await OUTAGES[way](world, 2, false);
    await exchange(connection);
    await OUTAGES[way](world, 2, true);
    await exchange(connection);
    if (!isOurs) continue;
    await lab.waitFor(() => pathsOf(client).length === 2, 2 * DEADLINE, `two subflows; now ${pathsOf(client)}`);
  }
}

for (const [mode, privacy] of [
  ["kernel", "off"],
  ["userspace", "off"],
  ["kernel", "mask"],
  ["userspace", "mask"],
] as const) {
  const what = `what a daemon was told and did plays to the same actions, over flaps, reloads, restarts`;
  kernelTest(`${what}: ${mode}${privacy === "mask" ? ", masked" : ""}`, () =>
    inWorld(2, async (world) => {
      const head = `path_manager: ${mode}\nprivacy: ${privacy}\n`;
      const config = configFile(head);
      const start = () => DaemonProcess.start(world.lab, world.client, "--config", config);
      let daemon = await start();
      const connection = await connected(world, mode);
      const isOurs = mode === "userspace";
      await flap(world, connection, Object.keys(OUTAGES) as Outage[], isOurs);
      writeFileSync(config, `${head}limits: { subflows: 3, add_addr_accepted: 1 }\n`);
      await daemon.ask("reload");
      if (isOurs) {
        const token = connectionsOf(world.client)[0]!.token;
        await daemon.ask("policy.set", { token, policy: "active-backup", parameters: { hold_down: "1s" } });
      }
      await flap(world, connection, ["carrier", "interface down"], false);
      await daemon.ask("recording");
      await daemon.end("SIGKILL");
      daemon = await start();
      await exchange(connection);
      assert.equal(await daemon.end(), 0, daemon.log);
      daemon = await start();
      await exchange(connection);
      connection.destroy();
      await world.lab.waitFor(() => pathsOf(world.client).length === 0, DEADLINE, "the end of the connection");
      assert.equal(await daemon.end(), 0, daemon.log);
      const { stderr } = subflow(world.client, "record", join(state, "all.rec"), "--last", "1h");
      assert.match(stderr, privacy === "mask" ? /its addresses are masked \(`privacy/ : /it names addresses of yours/);
      rmSync(join(state, "all.rec"));
      const told = bytesOfAll();
      assert.equal(/10\.0\.[12]\.|fd00:[12]/.test(told), privacy === "off");
      const { played, differences } = playAll();
      assert.deepEqual(differences, []);
      assert.equal(played.lives, 3);
      assert.equal(played.damages + played.lost, 0);
      assert.ok(played.facts > 100, `${played.facts} facts`);
      if (isOurs) assert.ok(played.events > 100 && played.actions > 10, JSON.stringify(played));
    }),
  );
}

interface Replayed {
  readonly is_same: boolean;
  readonly played: { readonly events: number; readonly differences: number };
  readonly lives: readonly unknown[];
  readonly story?: readonly { readonly type: string }[];
  readonly otherwise?: {
    readonly rows: readonly { readonly type: string; readonly done?: string; readonly planned?: string }[];
    readonly counts: readonly { readonly type: string; readonly done: number; readonly planned: number }[];
  };
  readonly moment?: {
    readonly connections: readonly { readonly connection: { readonly subflows: readonly unknown[] } }[];
  };
}

interface History {
  readonly connections: readonly {
    readonly token: string;
    readonly is_open: boolean;
    readonly ended?: string;
    readonly subflows: number;
    readonly ways: readonly string[];
  }[];
  readonly story?: readonly { readonly type: string }[];
}

kernelTest("record and replay: what was done, what there was, and what another policy would have done", () =>
  inWorld(2, async (world) => {
    const { lab, client } = world;
    const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const [live, last, html] = ["live.rec", "last.rec", "page.html"].map((name) => join(state, name)) as [
      string,
      string,
      string,
    ];
    const recorder = spawn(process.execPath, [SUBFLOW, "-n", client.netns, "record", live], { stdio: "pipe" });
    let said = "";
    recorder.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await lab.waitFor(() => said.includes("recording; ^C ends it"), DEADLINE, "a recorder");
    const connection = await connected(world, "userspace");
    await flap(world, connection, ["carrier", "address gone and back"], true);
    recorder.kill("SIGINT");
    const [code] = await once(recorder, "exit");
    assert.equal(code, 0, said);
    const recorded = subflow(client, "record", last, "--last", "5m");
    assert.equal(recorded.status, 0, recorded.stderr);
    assert.ok(readFileSync(last).length >= readFileSync(live).length);

    const replay = (status: number, ...words: string[]): Replayed => {
      const { stdout, stderr, ...ended } = subflow(client, "-j", "replay", ...words);
      assert.equal(ended.status, status, stderr);
      return conforms<Replayed>("replay", stdout);
    };
    const same = replay(0, live, "--events");
    assert.ok(same.is_same && same.lives.length === 1);
    assert.ok(same.story?.some(({ type }) => type === "subflow.established"));
    const { otherwise: again } = replay(0, last, "--policy", "resilient");
    const ofConnections = again!.rows.filter(({ type }) => /^(subflow|address)\./.test(type));
    assert.ok(ofConnections.length > 2);
    for (const row of ofConnections) assert.ok(row.done && row.planned, JSON.stringify(row));
    const { otherwise: none } = replay(0, last, "--policy", "none", "--html", html);
    const creates = none!.counts.find(({ type }) => type === "subflow.create");
    assert.ok(creates && creates.done >= 3 && creates.planned === 0, JSON.stringify(creates));
    assert.doesNotMatch(readFileSync(html, "utf8"), /<script|https?:|src=|url\(/);
    const config = configFile("interfaces: [{ name: eth2, role: off }]\n");
    const { otherwise: without } = replay(0, last, "--config", config);
    const added = without!.rows.filter(({ type, planned }) => type === "endpoint.add" && planned);
    assert.ok(added.length > 0 && added.every(({ planned }) => planned?.includes("dev eth1")), JSON.stringify(added));
    const { moment } = replay(0, last, "--at", "1h");
    assert.equal(moment?.connections[0]?.connection.subflows.length, 2);
    assert.equal(replay(0, last, "--at", "0ms").moment?.connections.length, 0);

    // What was cut off plays as far as it goes; what is none is named.
    writeFileSync(live, readFileSync(last).subarray(0, readFileSync(last).length - 7));
    const cut = subflow(client, "replay", live);
    assert.equal(cut.status, 0);
    assert.match(cut.stderr, /^Warning: .*live\.rec: at byte \d+: \d+ bytes are cut off or spoilt\.$/m);
    assert.match(subflow(client, "replay", config).stderr, /^Error: it is no recording of Subflow: /);
    assert.match(subflow(client, "replay", last, "--policy", "fulmesh").stderr, /did you mean "fullmesh"/);

    assert.match(subflow(client, "status").stdout, /black box +16MB +\S+: \d+ entries, \S+ written\n/);
    const history = (...words: string[]) =>
      conforms<History>("history", subflow(client, "-j", "history", ...words).stdout);
    const [open] = history().connections;
    assert.ok(open?.is_open && open.subflows >= 4 && open.ways.length === 2, JSON.stringify(open));
    connection.destroy();
    await lab.waitFor(() => history("--last", "1h").connections[0]?.ended !== undefined, DEADLINE, "its end");
    await daemon.end("SIGKILL");
    const told = history(open.token);
    assert.ok(told.connections.length === 1 && !told.connections[0]?.is_open, "over, and of a daemon that is gone");
    assert.equal(told.story?.at(-1)?.type, "connection.closed");
    assert.match(
      subflow(client, "history").stdout,
      / s {2}[0-9a-f]{8} {2}10\.0\.1\.1:\d+ → 10\.0\.1\.2:\d+: \d subflows over 2 pairs/,
    );
    assert.match(subflow(client, "history", "1").stderr, /nothing is known of a connection 00000001/);
    rmSync(last);
    assert.equal(subflow(client, "record", last, "--last", "1h").status, 0, "of a daemon that is gone");
    assert.ok(replay(0, last).is_same);
    playAll();
  }),
);

kernelTest("a black box that is off, or whose disk is full, keeps no daemon from anything", () =>
  inWorld(2, async (world) => {
    const { lab, client } = world;
    const off = await DaemonProcess.start(lab, client, "--config", configFile("black_box: off\n"));
    assert.match(subflow(client, "record", join(state, "x.rec")).stderr, /the daemon's black box is off: set/);
    assert.equal((await off.hello())?.blackBox, undefined);
    assert.equal(await off.end(), 0);
    assert.deepEqual(
      readdirSync(state).filter((name) => name.startsWith("black-box")),
      [],
    );
    const full = mkdtempSync(join(state, "full-"));
    const script = `mount -t tmpfs -o size=4k none ${full} && head -c 4096 /dev/zero > ${full}/filled;
      SUBFLOW_STATE_DIRECTORY=${full} exec ${process.execPath} ${SUBFLOW} run --path-manager userspace`;
    const daemon = client.spawn(["unshare", "--mount", "sh", "-c", script], { stdio: "ignore" });
    const hello = () => ask("hello", {}, { netns: client.netns }).catch(() => undefined);
    await lab.waitFor(async () => (await hello()) !== undefined, DEADLINE, "a daemon");
    const connection = await connected(world, "userspace");
    await exchange(connection);
    const isSaid = async (): Promise<boolean> =>
      (await hello())?.troubles.some((trouble) => /the black box cannot be written: ENOSPC/.test(trouble)) ?? false;
    await lab.waitFor(isSaid, DEADLINE, "a full disk");
    assert.match(subflow(client, "status").stdout, /trouble +the black box cannot be written: ENOSPC/);
    await flap(world, connection, ["carrier"], true);
    const ended = once(daemon, "exit");
    daemon.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    connection.destroy();
  }),
);

/** Somebody, and the group of a service. */
const [STRANGER, GROUP] = [61_234, 61_235];
const BLACK_BOX_OF = "the black box is for root, the daemon's user and its group, also beside others";

kernelTest(`${BLACK_BOX_OF}; who may not is told, with a daemon and without`, (t) =>
  inWorld(2, async (world) => {
    if (process.getuid?.() !== 0) return t.skip("needs root: other users are tried");
    if (spawnSync("setpriv", [`--reuid=${STRANGER}`, "true"]).status !== 0) return t.skip("there is no such user here");
    const { client } = world;
    const as = (...groups: string[]): string[] => ["setpriv", `--reuid=${STRANGER}`, `--regid=${STRANGER}`, ...groups];
    const [stranger, member] = [as("--clear-groups"), as(`--groups=${GROUP}`)];
    const look = (who: readonly string[]) => {
      const words = [`--net=${client.netns}`, ...who, process.execPath, SUBFLOW, "history"];
      return spawnSync("nsenter", words, { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
    };
    for (const directory of [state, process.env.SUBFLOW_RUNTIME_DIRECTORY ?? ""]) chmodSync(directory, 0o711);
    const service = ["setpriv", `--regid=${GROUP}`, "--clear-groups"];
    const daemon = await DaemonProcess.startAs(service, world.lab, client, "--path-manager", "userspace");
    const connection = await connected(world, "userspace");
    assert.match(look(stranger).stdout, /^no connection of yours since /, "who is nobody has nothing there");
    const isForOthers = /^Error: .*for root, the daemon's user and its group: run this as root, or as a member/;
    const { stdout, stderr } = look(member);
    assert.match(stdout, / open {2}[0-9a-f]{8} {2}10\.0\.1\.1:\d+ → /, stderr);
    connection.destroy();
    assert.equal(await daemon.end(), 0);
    assert.match(look(stranger).stderr, isForOthers);
    assert.match(look(member).stdout, /[0-9a-f]{8} {2}10\.0\.1\.1:\d+ → /);
    playAll();
  }),
);
