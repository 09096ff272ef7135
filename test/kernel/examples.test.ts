import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { Lab, transfer } from "../../src/lab/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { peerTest } from "./support.ts";

const examples = join(import.meta.dirname, "..", "..", "..", "examples");

/** Runs a program that watches beside a daemon, while a connection comes, gets a second subflow and goes. @returns what it printed */
async function watched(command: readonly string[], until: (text: string, token: string) => boolean): Promise<string> {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const alone = client.spawn(command, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  alone.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  const [status] = await once(alone, "close");
  assert.notEqual(status, 0);
  assert.match(said, /no Subflow daemon answers here/);

  const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const program = client.spawn(command, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  program.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  program.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  // Its first answer may come before or after.
  const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  const { token } = connectionsOf(client)[0]!;
  await lab.waitFor(() => until(text, token.toString(16).padStart(8, "0")), DEADLINE, `its output: ${text}`);
  const ended = once(program, "close");
  await daemon.end();
  assert.equal((await ended)[0], 1);
  assert.match(said, /the daemon has ended/);
  return text;
}

peerTest("examples: a client in Python", "/usr/bin/python3", async () => {
  const command = ["/usr/bin/python3", "-u", join(examples, "watch.py")];
  await watched(command, (text, token) => text.includes(`${token} has 2 subflows`));
});

peerTest("examples: a client in C", "/usr/bin/gcc", async () => {
  const program = join(dirname(configFile("")), "watch");
  const { status, stderr } = spawnSync("gcc", ["-Wall", "-Werror", "-o", program, join(examples, "watch.c")], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  await watched([program], (text, token) => text.includes(`"token":${Number.parseInt(token, 16)},`));
});
