import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { hostConfig, loadConfig } from "../../src/config/index.ts";
import { runtimeFiles } from "../../src/control/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, KERNEL, stateOf, subflow } from "./daemon-support.ts";
import { ALL, becomes, defaultRoute, difference, endpoints, threeLinks, WITHOUT_2 } from "./host-support.ts";
import { kernelTest } from "./support.ts";

kernelTest("endpoints follow carrier, addresses, routes, names and devices, and everything is put back", () =>
  threeLinks(async ({ lab, host, hub }) => {
    const eth2 = lab.link("eth2");
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
    assert.match(daemon.log, /path manager: kernel, because the configuration/);
    await becomes(lab, host, ALL, "at start");
    assert.equal(subflow(host, "limits").stdout, "add_addr_accepted 8 subflows 8 \n");

    await eth2.loseCarrier(host);
    await becomes(lab, host, WITHOUT_2, "carrier lost");
    await lab.waitFor(
      () => subflow(host, "limits").stdout === "add_addr_accepted 7 subflows 7 \n",
      DEADLINE,
      "lower limits",
    );
    await hub.ip(["link set eth2 up"]);
    await becomes(lab, host, ALL, "carrier back");

    await eth2.loseCarrier(host);
    await becomes(lab, host, WITHOUT_2, "carrier lost again");
    await host.ip(["address del 10.0.2.1/24 dev eth2"]);
    await hub.ip(["link set eth2 up"]);
    await host.ip(["address add 10.0.2.9/24 dev eth2", defaultRoute(2)]);
    await becomes(lab, host, [...WITHOUT_2, "10.0.2.9 eth2"], "another address after the carrier's return");

    await host.ip(["route del default via 10.0.2.2 dev eth2"]);
    await becomes(lab, host, WITHOUT_2, "route lost");
    await host.ip([defaultRoute(2)]);
    await becomes(lab, host, [...WITHOUT_2, "10.0.2.9 eth2"], "route back");

    await host.ip([
      "link set eth3 down",
      "link set eth3 name wlan0",
      "link set wlan0 up",
      "route replace default via 10.0.3.2 dev wlan0 metric 300",
    ]);
    await becomes(lab, host, ["10.0.1.1 eth1", "10.0.2.9 eth2", "10.0.3.1 wlan0"], "renamed");
    await host.ip(["link del wlan0"]);
    await becomes(lab, host, ["10.0.1.1 eth1", "10.0.2.9 eth2"], "device deleted");

    assert.equal(await daemon.end(), 0);
    assert.deepEqual(await endpoints(host), []);
    assert.equal(subflow(host, "limits").stdout, "add_addr_accepted 0 subflows 2 \n");
  }),
);

kernelTest(
  "what follows from an address that comes is done ahead of the plan; one that goes takes the right id with it",
  () =>
    threeLinks(async ({ lab, host }) => {
      const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
      await becomes(lab, host, ALL, "at start");
      for (const round of [1, 2]) {
        daemon.log = "";
        await host.ip(["address del 10.0.2.1/24 dev eth2"]);
        await becomes(lab, host, WITHOUT_2, `gone, round ${round}`);
        await host.ip(["address add 10.0.2.1/24 dev eth2", defaultRoute(2)]);
        await becomes(lab, host, ALL, `back, round ${round}`);
        assert.doesNotMatch(daemon.log, /removed by somebody else/);
      }
      // When all has settled, the next is foreseen again; a busy machine may need another moment for that.
      const isForeseen = async (): Promise<boolean> => {
        await pause(200);
        await host.ip(["address add 10.0.2.9/24 dev eth2"]);
        await becomes(lab, host, [...ALL, "10.0.2.9 eth2"], "one more");
        if (/endpoint add 10\.0\.2\.9 .*\(went ahead\)/.test(daemon.log)) return true;
        await host.ip(["address del 10.0.2.9/24 dev eth2"]);
        await becomes(lab, host, ALL, "one less");
        return false;
      };
      await lab.waitFor(isForeseen, DEADLINE, "an endpoint that went ahead of the plan");
      await pause(200);
      await host.ip(["address add 169.254.7.7/16 dev eth2", "address add 10.0.3.9/24 dev eth3"]);
      await becomes(lab, host, [...ALL, "10.0.2.9 eth2", "10.0.3.9 eth3"], "not the self-assigned one");
      assert.doesNotMatch(daemon.log, /169\.254/);
      // The other two have the ids that they had.
      assert.equal(subflow(host, "endpoint", "show", "id", "1").stdout.split(" ")[0], "10.0.1.1");
    }),
);

kernelTest(
  "an IPv6 address whose detection is over, and a default route that comes again, are served ahead of the plan",
  () =>
    threeLinks(async ({ lab, host, hub }) => {
      await hub.ip(["address add 2001:db8:2::2/64 dev eth2 nodad"]);
      const gateway6 = "route add default via 2001:db8:2::2 dev eth2 metric 200";
      await host.ip(["address add 2001:db8:2::1/64 dev eth2 nodad", gateway6]);
      const all = [...ALL, "2001:db8:2::1 eth2"];
      const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
      await becomes(lab, host, all, "at start");
      const aheads = () =>
        [...daemon.log.matchAll(/endpoint add (\S+) [^"]*\(went ahead\)/g)].map(([, which]) => which);
      // A busy machine may need another moment to foresee what comes next.
      const isServed = async (
        address: string,
        there: readonly string[],
        come: string,
        go: string,
      ): Promise<boolean> => {
        daemon.log = "";
        await pause(200);
        await host.ip([come]);
        await becomes(lab, host, [...there, `${address} eth2`], come);
        if (aheads().includes(address)) return true;
        await host.ip([go]);
        await becomes(lab, host, there, go);
        return false;
      };
      const one = "address add 2001:db8:2::9/64 dev eth2";
      const without = "address del 2001:db8:2::9/64 dev eth2";
      await lab.waitFor(() => isServed("2001:db8:2::9", all, one, without), 30_000, "an IPv6 address that went ahead");
      const more = [...all, "2001:db8:2::9 eth2"];
      for (const [lost, there, address, come] of [
        [
          "route del default via 10.0.2.2 dev eth2",
          more.filter((each) => !each.startsWith("10.0.2")),
          "10.0.2.1",
          defaultRoute(2),
        ],
        ["route del default via 2001:db8:2::2 dev eth2", ALL, "2001:db8:2::9", gateway6],
      ] as const) {
        const go = async (): Promise<boolean> => {
          await host.ip([lost]);
          await becomes(lab, host, there, lost);
          daemon.log = "";
          await pause(200);
          await host.ip([come]);
          await becomes(lab, host, more, come);
          return aheads().includes(address);
        };
        await lab.waitFor(go, 30_000, `${come}: went ahead`);
      }
      // Another route than the one that was there is not taken for it, and what is no path stays none.
      await host.ip(["route del default via 10.0.2.2 dev eth2"]);
      await becomes(
        lab,
        host,
        more.filter((each) => !each.startsWith("10.0.2")),
        "route lost",
      );
      daemon.log = "";
      await pause(200);
      await host.ip([
        "route add default via 10.0.2.7 dev eth2 metric 200",
        "address add fd00:2::9/64 dev eth2",
        "address add 2001:db8:2::a/64 dev eth2 preferred_lft 0 valid_lft 100",
      ]);
      await becomes(lab, host, more, "another gateway");
      assert.deepEqual(aheads(), []);
      await pause(2500);
      await becomes(lab, host, more, "neither a unique local nor a deprecated address");
      assert.doesNotMatch(daemon.log, /fd00:2::9|2001:db8:2::a |removed by somebody else/);
      assert.equal(await daemon.end(), 0);
      assert.deepEqual(await endpoints(host), []);
    }),
);

for (const pathManager of ["kernel", "userspace"] as const) {
  kernelTest(`an address without its local route is not bound to: no endpoint, ${pathManager}`, () =>
    threeLinks(async ({ lab, host }) => {
      await host.ip(["route del table local local 10.0.2.1"]);
      const daemon = await DaemonProcess.start(lab, host, "--path-manager", pathManager);
      await becomes(lab, host, WITHOUT_2, "at start", pathManager);
      const local = "table local local 10.0.2.1 dev eth2 proto kernel scope host src 10.0.2.1";
      await host.ip([`route add ${local}`]);
      await becomes(lab, host, ALL, "routed", pathManager);
      assert.equal(await daemon.end(), 0);
    }),
  );
}

kernelTest("limits that an administrator sets stay until the plan changes", () =>
  threeLinks(async ({ lab, host }) => {
    await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, ALL, "at start");
    assert.equal(subflow(host, "limits", "set", "subflows", "6").status, 0);
    // An endpoint that comes back shows that the daemon has looked since.
    subflow(host, "endpoint", "flush");
    await becomes(lab, host, ALL, "after a flush");
    assert.equal(subflow(host, "limits").stdout, "add_addr_accepted 8 subflows 6 \n");
    await lab.link("eth2").loseCarrier(host);
    await lab.waitFor(
      () => subflow(host, "limits").stdout === "add_addr_accepted 7 subflows 7 \n",
      DEADLINE,
      "the limits of two paths",
    );
  }),
);

kernelTest("IPv6: not before duplicate address detection is over; privacy and deprecated addresses not at all", () =>
  threeLinks(async ({ lab, host, hub }) => {
    await host.ip(["-6 route add default via 2001:db8:1::2 dev eth1 onlink"].map((line) => line.replace("-6 ", "")));
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, ALL, "at start");
    // The other end has the address already: detection must fail.
    await hub.ip(["address add 2001:db8:1::7/64 dev eth1 nodad"]);
    await host.ip(["address add 2001:db8:1::7/64 dev eth1", "address add 2001:db8:1::1/64 dev eth1"]);
    await becomes(lab, host, [...ALL, "2001:db8:1::1 eth1"], "the address whose detection succeeded");
    await host.ip(["address change 2001:db8:1::1/64 dev eth1 preferred_lft 0"]);
    await becomes(lab, host, ALL, "deprecated");
    await daemon.end();
  }),
);

kernelTest("a point-to-point link: our address, not the peer's", () =>
  threeLinks(async ({ lab, host }) => {
    await host.ip([
      "address flush dev eth2",
      "address add 192.0.2.1 peer 192.0.2.99 dev eth2",
      "route replace default dev eth2 metric 200",
    ]);
    await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, [...WITHOUT_2, "192.0.2.1 eth2"], "the local address");
  }),
);

kernelTest(
  "a server with the same gateway twice: a table each, in step with the routes, strict rp_filter relaxed and restored",
  () =>
    threeLinks(async ({ lab, host }) => {
      host.sysctl("net.ipv4.conf.eth2.rp_filter", 1);
      const daemon = await DaemonProcess.start(lab, host, ...KERNEL, "--config", configFile("profile: server\n"));
      await becomes(lab, host, ALL, "at start");
      const routeFrom = async (address: string): Promise<string> =>
        (await host.exec(["ip", "route", "get", "198.51.100.1", "from", address])).stdout;
      for (const n of [1, 2, 3]) {
        await lab.waitFor(
          async () => (await routeFrom(`10.0.${n}.1`)).includes(`dev eth${n}`),
          DEADLINE,
          `10.0.${n}.1 leaves by eth${n}`,
        );
      }
      assert.equal(host.sysctl("net.ipv4.conf.eth2.rp_filter"), "2");
      // The kernel is asked, not our memory: another gateway must arrive in the table.
      await host.ip(["route replace default via 10.0.2.77 dev eth2 metric 200"]);
      await lab.waitFor(
        async () => (await routeFrom("10.0.2.1")).includes("via 10.0.2.77"),
        DEADLINE,
        "the new gateway in the table",
      );
      await daemon.end();
      assert.equal(host.sysctl("net.ipv4.conf.eth2.rp_filter"), "1");
      assert.doesNotMatch((await host.exec(["ip", "rule"])).stdout, /lookup 2\d{4}/);
      assert.doesNotMatch((await host.exec(["ip", "route", "show", "table", "all"])).stdout, /proto 154/);
    }),
);

kernelTest("what an admin flushes comes back; who removes it again and again is let have it", () =>
  threeLinks(async ({ lab, host }) => {
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, ALL, "at start");
    assert.equal(subflow(host, "endpoint", "flush").status, 0);
    await becomes(lab, host, ALL, "after a flush");
    await daemon.logged(/10\.0\.1\.1 was removed by somebody else: it is added again/);
    using pm = MptcpPm.open({ netns: host.netns });
    for (let round = 0; round < 3; round++) {
      const find = () => pm.endpoints().find(({ address }) => address === "10.0.3.1");
      await lab.waitFor(() => find() !== undefined, DEADLINE, "the endpoint back");
      const seen = daemon.log.length;
      pm.deleteEndpoint({ id: find()?.id ?? 0 });
      await lab.waitFor(() => /10\.0\.3\.1 was removed/.test(daemon.log.slice(seen)), DEADLINE, "a word about it");
    }
    await daemon.logged(/10\.0\.3\.1 was removed 4 times in a minute: it is left/);
    await becomes(lab, host, ["10.0.1.1 eth1", "10.0.2.1 eth2"], "the third is let go");
  }),
);

kernelTest("kill -9 and restart: what is ours is known again, what is not is left alone", () =>
  threeLinks(async ({ lab, host }) => {
    using pm = MptcpPm.open({ netns: host.netns });
    pm.addEndpoint({ address: "10.0.9.9" as never, flags: 1 });
    const config = configFile("profile: server\n");
    const first = await DaemonProcess.start(lab, host, ...KERNEL, "--config", config);
    await lab.waitFor(async () => (await endpoints(host)).length === 4, DEADLINE, "all endpoints");
    await first.end("SIGKILL");
    await host.ip(["address del 10.0.2.1/24 dev eth2"]);
    assert.deepEqual(stateOf(host).host.owned.sort(), ["10.0.1.1", "10.0.2.1", "10.0.3.1"]);
    const second = await DaemonProcess.start(lab, host, ...KERNEL, "--config", config);
    await becomes(lab, host, [...WITHOUT_2, "10.0.9.9 undefined"], "after the restart");
    await second.end();
    assert.deepEqual(await endpoints(host), ["10.0.9.9 undefined"]);
    assert.doesNotMatch((await host.exec(["ip", "rule"])).stdout, /lookup 2\d{4}/);
  }),
);

kernelTest("an endpoint that somebody else adds a moment before us stays theirs", () =>
  threeLinks(async ({ lab, host }) => {
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, ALL, "at start");
    await host.ip(["mptcp endpoint add 10.0.2.9 dev eth2 subflow", "address add 10.0.2.9/24 dev eth2"]);
    await host.ip(["address add 10.0.3.9/24 dev eth3"]);
    await becomes(lab, host, [...ALL, "10.0.2.9 eth2", "10.0.3.9 eth3"], "the addresses seen");
    const ours = ["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.3.9"].join();
    await lab.waitFor(
      () => stateOf(host).host.owned.sort().join() === ours,
      DEADLINE,
      `these written down as ours: ${ours}`,
    );
    await daemon.end();
    assert.deepEqual(await endpoints(host), ["10.0.2.9 eth2"]);
  }),
);

kernelTest("a state file of another namespace, whose inode came back, is not believed", () =>
  threeLinks(async ({ lab, host }) => {
    using pm = MptcpPm.open({ netns: host.netns });
    pm.addEndpoint({ address: "10.0.1.1" as never, flags: 1 });
    const saved = { pathManager: "userspace", host: { owned: ["10.0.1.1"] }, namespace: "another one" };
    mkdirSync(dirname(runtimeFiles(host.netns).state), { recursive: true });
    writeFileSync(runtimeFiles(host.netns).state, JSON.stringify(saved));
    const daemon = await DaemonProcess.start(lab, host);
    assert.match(daemon.log, /path manager: kernel, because somebody set the endpoint 10\.0\.1\.1/);
    await becomes(lab, host, ["10.0.1.1 undefined", "10.0.2.1 eth2", "10.0.3.1 eth3"], "the foreign one left alone");
    await daemon.end();
    assert.deepEqual(await endpoints(host), ["10.0.1.1 undefined"]);
  }),
);

kernelTest("a burst of a thousand addresses is a few plans, and the losers are named", () =>
  threeLinks(async ({ lab, host }) => {
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL);
    await becomes(lab, host, ALL, "at start");
    const lines = Array.from({ length: 1000 }, (_, i) => `address add 10.1.${i >> 8}.${i & 255}/32 dev eth1`);
    await host.ip(lines);
    await lab.waitFor(async () => (await endpoints(host)).length === 8, DEADLINE, "as many as the kernel takes");
    const text = subflow(host, "run", "--dry-run").stdout;
    assert.match(text, /the kernel has room for 8 endpoints/);
    assert.ok((daemon.log.match(/endpoint add/g) ?? []).length < 60, "not a thousand plans");
    await host.ip(lines.map((line) => line.replace(" add ", " del ")));
    await becomes(lab, host, ALL, "after the burst");
  }),
);

/** A small generator by seed (mulberry32): the same sequence every time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Commands that may fail: what is there already, or not. */
const STEPS: ((n: number, pick: (below: number) => number) => readonly ["host" | "hub", string])[] = [
  (n) => ["hub", `link set eth${n} down`],
  (n) => ["hub", `link set eth${n} up`],
  (n) => ["host", `link set eth${n} down`],
  (n) => ["host", `link set eth${n} up`],
  (n) => ["host", `address del 10.0.${n}.1/24 dev eth${n}`],
  (n) => ["host", `address replace 10.0.${n}.1/24 dev eth${n}`],
  (n, pick) => ["host", `address replace 10.0.${n}.${3 + pick(4)}/24 dev eth${n}`],
  (n) => ["host", `route del default dev eth${n}`],
  (n) => ["host", defaultRoute(n)],
  (n, pick) => ["host", `route replace default via 10.0.${n}.2 dev eth${n} metric ${100 + pick(900)}`],
];
const SEQUENCES = Number(process.env.HOST_SEQUENCES ?? 200);

kernelTest(`${SEQUENCES} random sequences by seed: the kernel's tables equal the plan`, () =>
  threeLinks(async ({ lab, host, hub }) => {
    const path = configFile("profile: server\nrouting: always\n");
    const config = hostConfig(loadConfig(path).config, "kernel");
    let daemon = await DaemonProcess.start(lab, host, ...KERNEL, "--config", path);
    for (let seed = 1; seed <= SEQUENCES; seed++) {
      const pick = random(seed);
      const steps = Array.from({ length: 1 + pick(6) }, () => STEPS[pick(STEPS.length)]!(1 + pick(3), pick));
      for (const [where, line] of steps)
        await (where === "hub" ? hub : host).exec(["ip", ...line.split(" ")], { mayFail: true });
      if (seed % 40 === 0) {
        await daemon.end("SIGKILL");
        daemon = await DaemonProcess.start(lab, host, ...KERNEL, "--config", path);
      }
      await lab
        .waitFor(async () => (await difference(host, config)).length === 0, DEADLINE, `seed ${seed}`)
        .catch(async () => {
          const story = steps.map(([where, line]) => `${where}: ip ${line}`).join("\n");
          assert.fail(
            `seed ${seed}:\n${story}\nstill to do: ${(await difference(host, config)).join("\n")}\n${daemon.log.slice(-2000)}`,
          );
        });
    }
  }),
);
