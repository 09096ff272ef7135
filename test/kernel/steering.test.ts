import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { transfer } from "../../src/lab/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, SUBFLOW, subflow } from "./daemon-support.ts";
import { inWorld, type World } from "./outage-support.ts";
import { peerTest } from "./support.ts";

const PYTHON = "/usr/bin/python3";
/** A user that nobody is. */
const STRANGER = 61_234;
const AS_STRANGER = ["setpriv", `--reuid=${STRANGER}`, `--regid=${STRANGER}`, "--clear-groups"];

const config = (may: string): string => `path_manager: userspace\napplications: ${may}\n`;

/** Where others may read: what stands in the checkout they perhaps may not. */
function readable(name: string): string {
  const file = configFile("", name);
  copyFileSync(join(import.meta.dirname, "..", "..", "..", "examples", name), file);
  chmodSync(file, 0o644);
  chmodSync(dirname(file), 0o711);
  return file;
}

/** Of that user's connection, with what the example was told. */
async function steer({ client }: World, port: number, ...words: string[]) {
  const script = readable("steer.py");
  const command = [...AS_STRANGER, PYTHON, script, "10.0.1.2", String(port), ...words];
  const child = client.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout! });
  const [said] = await new Promise<string[]>((resolve) => lines.once("line", (line) => resolve([line])));
  return { said: said ?? "", end: () => child.stdin?.end() };
}

/** The subflows of a connection, as "10.0.1.1 (10.0.2.1)": backups in brackets. */
function roles({ client }: World, uid: number): string {
  const found = connectionsOf(client).find((each) => each.uid === uid);
  const subflows = (found?.subflows ?? []).filter(({ state }) => state === "established");
  return subflows
    .map(({ path, backupLocal }) => (backupLocal ? `(${path.local.address})` : path.local.address))
    .sort()
    .join(" ");
}

const setByStranger = (world: World, token: number, policy: string) => byStranger(world, "set", token, policy);

/** `subflow policy set` or `unset`, by that user. */
function byStranger({ client }: World, verb: "set" | "unset", token: number, ...policy: string[]) {
  const words = [process.execPath, SUBFLOW, "policy", verb, token.toString(16).padStart(8, "0"), ...policy];
  const { status, stderr } = spawnSync("nsenter", [`--net=${client.netns}`, ...AS_STRANGER, ...words], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stderr };
}

peerTest("steering: a program asks for a policy of its own connections, of those that the admin allows", PYTHON, (t) =>
  inWorld(2, async (world) => {
    if (process.getuid?.() !== 0) return t.skip("needs root: another user is tried");
    if (spawnSync("setpriv", [`--reuid=${STRANGER}`, "true"]).status !== 0)
      return t.skip("there is no other user here");
    const { lab, client, server } = world;
    const file = configFile(config("{ steer: [active-backup, resilient] }"));
    const daemon = await DaemonProcess.start(lab, client, "--config", file);
    const service = await server.listen({ address: "0.0.0.0" });
    const roots = await service.connect(client.netns, { to: "10.0.1.2" });
    await transfer(roots.client, roots.server, 1000);
    const becomes = (uid: number, expected: string) =>
      lab.waitFor(() => roles(world, uid) === expected, DEADLINE, `${expected} of user ${uid}`);
    await becomes(0, "10.0.1.1 10.0.2.1");

    const mine = await steer(world, service.port, "active-backup", "hold_down=1s");
    assert.match(mine.said, /^[0-9a-f]{8} is planned by active-backup$/);
    await becomes(STRANGER, "(10.0.2.1) 10.0.1.1");
    await daemon.logged(new RegExp(`user ${STRANGER} asks for policy active-backup`));
    assert.equal(roles(world, 0), "10.0.1.1 10.0.2.1", "what is root's stays as it was");

    const token = (uid: number): number => connectionsOf(client).find((each) => each.uid === uid)?.token ?? 0;
    const root = setByStranger(world, token(0), "active-backup");
    assert.notEqual(root.status, 0);
    assert.match(root.stderr, /no connection of yours has this token/);
    const none = setByStranger(world, 1, "active-backup");
    assert.match(none.stderr, /no connection of yours has this token/, "nobody learns which tokens there are");
    const other = setByStranger(world, token(STRANGER), "none");
    assert.notEqual(other.status, 0);
    assert.match(other.stderr, /applications may ask for active-backup, resilient here, and not for none/);
    assert.equal(setByStranger(world, token(STRANGER), "resilient").status, 0);
    await becomes(STRANGER, "10.0.1.1 10.0.2.1");
    assert.equal(roles(world, 0), "10.0.1.1 10.0.2.1");
    assert.equal(setByStranger(world, token(STRANGER), "active-backup").status, 0);
    await becomes(STRANGER, "(10.0.2.1) 10.0.1.1");
    const foreign = byStranger(world, "unset", token(0));
    assert.match(foreign.stderr, /no connection of yours has this token/);
    assert.equal(byStranger(world, "unset", token(STRANGER)).status, 0);
    await becomes(STRANGER, "10.0.1.1 10.0.2.1");
    await daemon.logged(new RegExp(`user ${STRANGER} asks for what the configuration says`));
    mine.end();
    await lab.waitFor(() => token(STRANGER) === 0, DEADLINE, "the program's end");
    const wrong = await steer(world, service.port, "active-backup", "hold_down=later");
    assert.match(wrong.said, /hold_down: "later" is not a time/);
    wrong.end();

    writeFileSync(file, config("see"));
    daemon.signal("SIGHUP");
    await daemon.logged(/read again/);
    const refused = await steer(world, service.port, "active-backup");
    assert.match(refused.said, /for root and the daemon's group, unless the configuration lets applications steer/);
    refused.end();
    assert.equal(
      subflow(client, "policy", "set", token(0).toString(16).padStart(8, "0"), "none").status,
      0,
      "root may",
    );
    assert.equal(await daemon.end(), 0);
  }),
);
