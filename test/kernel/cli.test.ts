import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import {
  eventually,
  type Outcome,
  RunningSubflow,
  runCommand,
  runSubflow,
  SUBFLOW,
  TestConnection,
  TestNamespace,
  whyNoKernel,
} from "../compat/support.ts";

const skip = whyNoKernel();

describe("the command line on a real kernel", { skip }, () => {
  let namespace: TestNamespace;
  before(() => {
    namespace = new TestNamespace();
  });
  after(() => namespace?.remove());

  const run = (...words: string[]): Outcome => runSubflow("-n", namespace.name, ...words);

  for (const [what, words, exitStatus, stderr] of [
    ["a namespace that does not exist", ["-n", "no-such-namespace", "limits"], 255, /no-such-namespace.*ENOENT/],
    ["a namespace without a name", ["limits", "-n"], 255, /not complete/],
    ["a token that is none", ["connections", "xyz"], 255, /hexadecimal/],
    ["a token that names nothing", ["connections", "deadbeef"], 1, /no connection has the token deadbeef/],
    ["a subflow of no connection", ["destroy", "deadbeef", "d0"], 2, /no connection has the token deadbeef/],
    ["an option that does not exist", ["create", "deadbeef", "d0", "--fast"], 255, /Unknown option '--fast'/],
    ["an option without its value", ["create", "deadbeef", "d0", "--id"], 255, /--id/],
    ["an interval that is no time", ["connections", "--watch", "--interval", "soon"], 255, /0\.1 to 3600/],
    ["a shell that is none", ["completion", "tcsh"], 255, /bash, zsh, fish/],
  ] as const) {
    test(what, () => {
      const outcome = runSubflow(...words);
      assert.equal(outcome.exitStatus, exitStatus, outcome.stderr);
      assert.match(outcome.stderr, stderr);
      assert.equal(outcome.stdout, "");
    });
  }

  describe("without CAP_NET_ADMIN", () => {
    const powerless = (...words: string[]): Outcome =>
      runCommand("ip", [
        ...["netns", "exec", namespace.name, "setpriv", "--bounding-set=-all", "--inh-caps=-all"],
        ...[process.execPath, SUBFLOW, ...words],
      ]);

    test("what changes something is refused with the remedy", () => {
      for (const words of [
        ["limits", "set", "subflows", "1"],
        ["endpoint", "add", "10.0.1.1", "subflow"],
        ["endpoint", "flush"],
      ]) {
        const { exitStatus, stderr } = powerless(...words);
        assert.equal(exitStatus, 2);
        assert.match(stderr, /^RTNETLINK answers: Operation not permitted\nThis needs CAP_NET_ADMIN/);
      }
    });

    test("what only looks is shown", () => {
      assert.match(powerless("limits").stdout, /^add_addr_accepted \d+ subflows \d+ \n$/);
      assert.equal(powerless("endpoint").exitStatus, 0);
      assert.match(powerless("status").stdout, /path manager +kernel/);
      assert.equal(powerless("connections").exitStatus, 0);
    });

    test("another namespace cannot be entered", () => {
      const { exitStatus, stderr } = powerless("-n", namespace.name, "limits");
      assert.equal(exitStatus, 255);
      assert.match(stderr, /EPERM|EACCES/);
    });
  });

  test("a closed pipe ends quietly", async () => {
    const child = spawn(process.execPath, [SUBFLOW, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const exitStatus = await new Promise((resolve) => child.once("close", resolve));
    assert.deepEqual([exitStatus, stderr], [141, ""]);
  });

  describe("with a connection", () => {
    let connection: TestConnection;
    const monitors: RunningSubflow[] = [];
    const start = (...words: string[]): RunningSubflow => {
      const monitor = new RunningSubflow("-n", namespace.name, ...words);
      monitors.push(monitor);
      return monitor;
    };
    before(async () => {
      runCommand("ip", ["netns", "exec", namespace.name, "sysctl", "-qw", "net.mptcp.pm_type=1"]);
      connection = await TestConnection.open(namespace);
    });
    after(async () => {
      await connection?.close();
      await Promise.all(monitors.map((monitor) => monitor.end("SIGKILL")));
    });

    interface Shown {
      token: string;
      side: string;
      subflows: { state: string; local_id: number; backup_local: boolean; interface: string }[];
    }
    const shown = (side: string): Shown =>
      (JSON.parse(run("-j", "connections").stdout) as Shown[]).find((one) => one.side === side)!;

    test("the tree shows both ends, with interfaces and the path manager", () => {
      const { stdout, stderr } = run("connections");
      assert.equal(stderr, "");
      assert.match(stdout, /client {2}userspace path manager {2}established/);
      assert.match(stdout, /server {2}userspace path manager {2}established/);
      assert.match(stdout, /└─ 10\.0\.1\.1:5000 → 10\.0\.1\.1:\d+ {2}d0 {2}id 0→0 {2}initial {2}established/);
    });

    test("create, backup, nobackup, destroy: ids and ports come from the connection", async () => {
      const monitor = start("monitor");
      const { token } = shown("client");
      // Joins are accepted only while somebody listens to events, so the first one waits for the monitor.
      await eventually("a join", () => {
        const created = run("create", token, "10.0.2.1");
        assert.equal(created.exitStatus, 0, created.stderr);
        return monitor.stdout.includes("SF_ESTABLISHED") ? created : undefined;
      });
      run("destroy", token, "d1", "--all");
      assert.equal(shown("client").subflows.length, 1);

      const created = run("create", `0x${token}`, "10.0.2.1");
      assert.match(created.stdout, /^creating 10\.0\.2\.1 id 1 → 10\.0\.1\.1:5000 id 0\n$/);
      await connection.exchange();
      const join = (): Shown["subflows"][0] | undefined =>
        shown("client").subflows.find(({ local_id }) => local_id === 1);
      await eventually("an established join", () => (join()?.state === "established" ? true : undefined));
      assert.equal(join()?.interface, "d1");

      assert.equal(run("backup", token, "d1").exitStatus, 0);
      assert.equal(join()?.backup_local, true);
      assert.equal(run("nobackup", token, "10.0.2.1").exitStatus, 0);
      assert.equal(join()?.backup_local, false);
      await eventually("the news of both", () => (monitor.stdout.match(/SF_PRIO/g)?.length === 2 ? true : undefined));

      assert.equal(run("destroy", token, "d1").exitStatus, 0);
      assert.equal(join(), undefined);
      assert.equal(run("destroy", token, "d1").exitStatus, 2);
      assert.equal(await monitor.end("SIGINT"), 0);
    });

    test("announce and remove: the id is chosen, and told", () => {
      const { token } = shown("server");
      assert.match(run("announce", token, "d1").stdout, /^announced 10\.0\.2\.1 id \d+ on [0-9a-f]{8}\n$/);
      const initial = run("announce", token, "10.0.1.1");
      assert.equal(initial.exitStatus, 2);
      assert.match(initial.stderr, /initial address/);
      assert.match(run("remove", token, "10.0.2.1").stdout, /^removed id \d+ on [0-9a-f]{8}\n$/);
      const again = run("remove", token, "77");
      assert.deepEqual([again.exitStatus, again.stderr], [2, "Error: address with id 77 not found.\n"]);
    });

    test("-j monitor prints one JSON value a line, and SIGTERM ends it with 0", async () => {
      const monitor = start("-j", "monitor");
      const line = await eventuallyConnected(monitor);
      const event = JSON.parse(line) as { event: string };
      assert.match(event.event, /^[A-Z_]+$/);
      assert.equal(await monitor.end("SIGTERM"), 0);
      for (const each of monitor.stdout.trim().split("\n")) assert.doesNotThrow(() => JSON.parse(each), each);
    });

    test("monitor ends quietly when nobody reads any more", async () => {
      const monitor = start("monitor");
      await eventuallyConnected(monitor);
      monitor.child.stdout!.destroy();
      const { token } = shown("server");
      let status: number | undefined;
      void monitor.end().then((code) => {
        status = code;
      });
      await eventually("the end", () => {
        run("announce", token, "10.0.2.1");
        return status;
      });
      assert.deepEqual([status, monitor.stderr], [141, ""]);
    });

    test("connections --watch shows again and again, and ^C ends it with 130", async () => {
      const watch = start("connections", "--watch", "--interval", "0.1");
      await eventually("two pictures", () => (watch.stdout.match(/client/g)?.length ?? 0) >= 2 || undefined);
      assert.equal(await watch.end("SIGINT"), 130);
    });

    /** Makes events until the monitor has printed the first: only then it is known to listen. */
    function eventuallyConnected(monitor: RunningSubflow): Promise<string> {
      const { token } = shown("server");
      return eventually("an event", () => {
        run("announce", token, "10.0.2.1");
        const end = monitor.stdout.indexOf("\n");
        return end < 0 ? undefined : monitor.stdout.slice(0, end);
      });
    }
  });
});
