import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Lab, transfer } from "../../src/lab/index.ts";
import { conforms } from "../fixtures/schemas.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, SUBFLOW, subflow } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { kernelTest } from "./support.ts";

kernelTest("hook: a command of another user is told what happens, as JSON", async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const folder = join(dirname(configFile("")), "hook");
  chmodSync(dirname(folder), 0o711);
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const out = join(folder, "out");
  const types = "subflow.established,subflow.closed,connection.closed,subflow.create";
  const script = `cat >> ${out}; echo "$SUBFLOW_EVENT $SUBFLOW_TOKEN $SUBFLOW_INTERFACE $(id -u)" >> ${out}.env`;
  const words = ["hook", "--on", types, "--jobs", "1", "--user", "nobody", "--", "sh", "-c", script];
  const hook = client.spawn([process.execPath, SUBFLOW, ...words], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  hook.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const text = (): string => (existsSync(out) ? readFileSync(out, "utf8") : "");
  // It says nowhere when it listens.
  const isTold = async (): Promise<boolean> => {
    const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
    await transfer(connection.client, connection.server, 1000);
    await lab.waitFor(() => connectionsOf(client).some(({ subflows }) => subflows.length === 2), DEADLINE, "a subflow");
    connection.destroy();
    return (
      /"connection\.closed"/.test(text()) && /"subflow\.create"/.test(text()) && /"subflow\.established"/.test(text())
    );
  };
  await lab.waitFor(isTold, 2 * DEADLINE, `the command's file; ${said}`);
  const ended = once(hook, "exit");
  hook.kill("SIGTERM");
  assert.deepEqual((await ended)[0], 0);
  const told = text()
    .trim()
    .split("\n")
    .map((line) => conforms<{ type: string; token: string; interface?: string; words: string }>("hook", line));
  assert.ok(told.every(({ type }) => types.includes(type)));
  assert.ok(told.some((each) => each.type === "subflow.established" && each.interface === "cellular"));
  assert.ok(told.some(({ words: in_ }) => /we open a subflow over cellular/.test(in_)));
  const environment = readFileSync(`${out}.env`, "utf8");
  assert.match(environment, /^subflow\.established [0-9a-f]{8} cellular \d+$/m);
  assert.doesNotMatch(environment, / 0$/m, "not as root");

  for (const [words_, says] of [
    [["hook"], /COMMAND.*required/],
    [["hook", "--", "true"], /--user.*required for root/],
    [["hook", "--user", "nobody-at-all", "--", "true"], /no such user/],
    [["hook", "--on", "everything", "--user", "nobody", "--", "true"], /an event or a decision/],
    [["hook", "--timeout", "0", "--user", "nobody", "--", "true"], /0\.1 to 3600/],
    [["hook", "more", "--", "true"], /takes no words/],
  ] as const) {
    const { status, stderr } = subflow(client, ...words_);
    assert.equal(status, 255, stderr);
    assert.match(stderr, says);
  }
});
