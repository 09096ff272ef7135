import assert from "node:assert/strict";
import { once } from "node:events";
import { type Host, Lab, type Topology, transfer } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";
import { checked, conforms, SCHEMAS } from "../fixtures/schemas.ts";
import { configFile, DaemonProcess, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const TOPOLOGY: Topology = {
  hosts: {
    client: {
      sourceRoutes: true,
      routes: ["default via 10.0.1.2 dev wifi metric 100", "default via 10.0.2.2 dev cellular metric 200"],
    },
    server: {},
  },
  links: [
    { name: "wifi", ends: { client: ["10.0.1.1/24", "fd00:1::1/64"], server: ["10.0.1.2/24", "fd00:1::2/64"] } },
    { name: "cellular", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
  ],
};
const CONFIG = configFile(`
path_manager: userspace
automatic: false
limits: { subflows: 2, add_addr_accepted: 1 }
endpoints:
  - { address: 10.0.2.1, dev: cellular, flags: [subflow, backup] }
  - { address: 10.0.1.1, dev: wifi, flags: [signal], port: 5005 }
  - { address: "fd00:1::1", flags: [fullmesh, subflow] }
`);

interface Shown {
  readonly token: string;
  readonly subflows: readonly unknown[];
}

/** Every command that only looks, as it is now. @returns the connections */
function look(host: Host, what: { readonly config: string }): Shown[] {
  const shown = (...words: string[]): string => {
    const { stdout, stderr, status } = subflow(host, "-j", ...words);
    assert.ok([0, 3, 4].includes(status ?? -1), `${words.join(" ")}: ${status}: ${stderr}`);
    return stdout;
  };
  conforms("endpoint", shown("endpoint"));
  conforms("limits", shown("limits"));
  conforms("status", shown("status"));
  conforms("apps", shown("apps"));
  conforms("doctor", shown("doctor"));
  conforms("report", shown("report", "--window", "0"));
  conforms("report", shown("report", "--window", "0", "--mask"));
  conforms("config-check", shown("config", "check", "--config", what.config));
  conforms("policies", shown("policy"));
  conforms("rule-test", shown("rule", "test", "--remote", "10.0.1.2:443", "--config", what.config));
  conforms("run-dry-run", shown("run", "--dry-run", "--config", what.config));
  const connections = conforms<Shown[]>("connections", shown("connections"));
  for (const { token } of connections) {
    const { connection } = conforms<{ connection: Shown }>("why", shown("why", token));
    assert.equal(connection.token, token, "one form of tokens");
  }
  return connections;
}

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  return { connection, port: service.port };
}

kernelTest("-j: what every command prints is what docs/schemas says, with either path manager", async () => {
  await using lab = await Lab.create(TOPOLOGY);
  const client = lab.host("client");
  const monitor = client.spawn([process.execPath, SUBFLOW, "-j", "monitor"], { stdio: ["ignore", "pipe", "inherit"] });
  let events = "";
  monitor.stdout!.setEncoding("utf8").on("data", (text: string) => {
    events += text;
  });
  const empty = configFile("automatic: true\n");
  look(client, { config: empty });
  await client.ip(["mptcp endpoint add 10.0.2.1 dev cellular subflow backup", "mptcp endpoint add 10.9.9.9 signal"]);
  const { connection, port } = await connected(lab);
  await lab.waitFor(() => look(client, { config: empty })[0]?.subflows.length === 2, 10_000, "the second subflow");
  conforms("doctor-path", subflow(client, "-j", "doctor", "--path", `10.0.1.2:${port}`, "--join").stdout);
  connection.destroy();
  await client.ip(["mptcp endpoint flush"]);

  await DaemonProcess.start(lab, client, "--config", CONFIG);
  const { connection: own } = await connected(lab);
  await lab.waitFor(
    () => look(client, { config: CONFIG }).some(({ subflows }) => subflows.length === 2),
    10_000,
    "a join",
  );
  own.destroy();
  await lab.waitFor(() => /"SF_ESTABLISHED"/.test(events) && /"CLOSED"/.test(events), 10_000, "events of the monitor");
  // It may have been a moment until the monitor found the daemon.
  const hasDecided = async (): Promise<boolean> => {
    (await connected(lab)).connection.destroy();
    return /"decision":"subflow.create"/.test(events);
  };
  await lab.waitFor(hasDecided, 10_000, "a decision in the monitor");
  for (const line of events.trim().split("\n")) conforms("monitor", line);
  const ended = once(monitor, "exit");
  monitor.kill("SIGTERM");
  await ended;
  // Those are compared where they are tried.
  assert.deepEqual(
    SCHEMAS.filter((name) => !checked.has(name)),
    ["demo", "enabled", "history", "hook", "policy-try", "replay"],
  );
});
