import assert from "node:assert/strict";
import { Lab, type Topology, transfer } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";
import { CASES } from "./doctor-cases.ts";
import { INNOCENT, OUTSIDE } from "./doctor-outside-cases.ts";
import { connected, counted, doctor, doctorUnder, type Examination, HEALTHY, healthyLab } from "./doctor-support.ts";
import { kernelTest, peerTest } from "./support.ts";

/** Findings that a machine in good health may have, and that say nothing of it. */
const HARMLESS = new Set(["ok", "note"]);

kernelTest("doctor: a healthy client and a healthy server get no warning, before and after traffic", async () => {
  await using lab = await healthyLab();
  await lab.host("server").ip(["mptcp endpoint add 10.0.2.2 dev cellular signal"]);
  await lab.host("client").ip(["mptcp limits set add_addr_accepted 2"]);
  const look = async (): Promise<void> => {
    for (const name of ["client", "server"]) {
      const { findings, status, not_looked: notLooked } = await doctor(lab.host(name));
      assert.deepEqual(
        findings.filter(({ level }) => level !== "ok"),
        [],
        name,
      );
      assert.deepEqual([status, notLooked], [0, []]);
      const provoked = new Set(CASES.map(({ id }) => id));
      const seen = new Set(findings.map(({ id }) => id));
      assert.deepEqual(
        [...provoked].filter((id) => !seen.has(id) && id !== "conntrack-full"),
        [],
      );
    }
  };
  await look();
  await connected(lab);
  await counted(lab, "server", "MPJoinAckRx");
  await look();
});

kernelTest("doctor: a host with one interface, and a server without endpoints, get no warning", async () => {
  const topology: Topology = {
    hosts: { client: { routes: ["default via 10.0.1.2"] }, server: {} },
    links: [
      { name: "eth0", ends: { client: ["10.0.1.1/24", "fd00:1::1/64"], server: ["10.0.1.2/24", "fd00:1::2/64"] } },
    ],
  };
  await using one = await Lab.create(topology);
  await using two = await Lab.create(HEALTHY);
  await connected(two);
  for (const host of [one.host("client"), one.host("server"), two.host("server")]) {
    const { findings, status } = await doctor(host);
    assert.deepEqual(
      findings.filter(({ level }) => !HARMLESS.has(level)),
      [],
    );
    assert.equal(status, 0);
  }
});

const declare = (name: string, program: string | undefined, run: () => Promise<void>): void =>
  program === undefined ? kernelTest(name, run) : peerTest(name, program, run);

for (const { id, level, on, under = [], program, provoke, seen, mended } of [...CASES, ...OUTSIDE]) {
  declare(`doctor: ${id}, ${level}: ${seen.source}`, program, async () => {
    await using lab = await healthyLab();
    const host = lab.host(on ?? "client");
    await provoke(lab, lab.host("client"), lab.host("server"));
    const { findings, status } = await doctorUnder(under, host);
    const found = findings.find((finding) => finding.id === id && seen.test(finding.seen));
    assert.equal(found?.level, level, JSON.stringify(findings.filter((finding) => finding.level !== "ok")));
    const worst = findings.some((finding) => finding.level === "error") ? 4 : 3;
    assert.equal(status, findings.every((finding) => HARMLESS.has(finding.level)) ? 0 : worst);
    if (!mended) return;
    const after = await doctor(host, "--fix", "--yes");
    assert.deepEqual(
      after.applied.filter(({ error }) => error !== undefined),
      [],
    );
    assert.ok(after.applied.length > 0);
    const left = after.findings.filter((finding) => finding.id === id && finding.level === level);
    assert.deepEqual(left, []);
  });
}

for (const { id, what, on, under = [], program, provoke } of INNOCENT) {
  declare(`doctor: no ${id}: ${what}`, program, async () => {
    await using lab = await healthyLab();
    await provoke(lab, lab.host("client"), lab.host("server"));
    const { findings } = await doctorUnder(under, lab.host(on ?? "client"));
    assert.deepEqual(
      findings.filter((finding) => finding.id === id && finding.level !== "ok"),
      [],
    );
  });
}

kernelTest("doctor: what rp-filter and source-route foretell is what the kernel does", async () => {
  await using lab = await healthyLab();
  const client = lab.host("client");
  await client.ip(["rule delete pref 101"]);
  // The server's cellular address is reached by wifi only: the way back does not match the way in.
  await client.ip(["route replace 10.0.2.0/24 via 10.0.1.2 dev wifi"]);
  client.sysctl("net.ipv4.conf.all.rp_filter", 1);
  const broken = await doctor(client);
  assert.ok(broken.findings.some(({ id, level }) => id === "rp-filter" && level === "error"));
  const first = await connected(lab);
  await counted(lab, "client", "MPJoinSynTx");
  await counted(lab, "server", "MPJoinSynRx");
  assert.equal(client.counters().MPJoinSynAckRx, 0);
  first.destroy();
  await doctor(client, "--fix", "--yes");
  await connected(lab);
  await counted(lab, "client", "MPJoinSynAckRx");
});

/** Two IPv6 uplinks without policy routing; IPv4 beside them. */
const DUAL_STACK: Topology = {
  hosts: {
    client: {
      routes: [
        "default via 2001:db8:1::2 dev wifi metric 100",
        "default via 2001:db8:2::2 dev cellular metric 200",
        "default via 10.0.1.2 dev wifi metric 100",
        "default via 10.0.2.2 dev cellular metric 200",
      ],
    },
    server: {},
  },
  links: [
    {
      name: "wifi",
      ends: { client: ["10.0.1.1/24", "2001:db8:1::1/64"], server: ["10.0.1.2/24", "2001:db8:1::2/64"] },
    },
    {
      name: "cellular",
      ends: { client: ["10.0.2.1/24", "2001:db8:2::1/64"], server: ["10.0.2.2/24", "2001:db8:2::2/64"] },
    },
  ],
};

kernelTest("doctor: endpoints with a device need no policy routing, and it says nothing of it", async () => {
  await using lab = await Lab.create(DUAL_STACK);
  const client = lab.host("client");
  const addresses = [
    "10.0.1.1 dev wifi",
    "10.0.2.1 dev cellular",
    "2001:db8:1::1 dev wifi",
    "2001:db8:2::1 dev cellular",
  ];
  await client.ip(addresses.map((address) => `mptcp endpoint add ${address} subflow`));
  const { findings } = await doctor(client);
  assert.deepEqual(
    findings.filter(({ level }) => level !== "ok"),
    [],
  );
  for (const [to, from] of [
    ["10.0.1.2", "10.0.1.1"],
    ["2001:db8:1::2", "2001:db8:1::1"],
  ] as const) {
    const before = client.counters().MPJoinSynAckRx ?? 0;
    const service = await lab.host("server").listen({ address: to });
    const connection = await service.connect(client.netns, { to, from });
    await transfer(connection.client, connection.server, 1000);
    await transfer(connection.server, connection.client, 1000);
    await lab.waitFor(() => (client.counters().MPJoinSynAckRx ?? 0) > before, 5000, `the join beside ${from}`);
  }
});

kernelTest("doctor: a device without an IPv6 way out is told", async () => {
  await using lab = await Lab.create(DUAL_STACK);
  const client = lab.host("client");
  await client.exec(["ip", "-6", "route", "delete", "default", "dev", "cellular"]);
  await client.ip(["mptcp endpoint add 2001:db8:2::1 dev cellular subflow"]);
  const { findings } = await doctor(client);
  const found = findings.find(({ id }) => id === "source-route");
  assert.equal(found?.level, "error", found?.seen);
});

kernelTest("doctor --fix changes nothing without a terminal or --yes, and only what it lists", async () => {
  await using lab = await healthyLab();
  const client = lab.host("client");
  await client.ip(["mptcp limits set subflows 0", "mptcp endpoint add 10.0.9.9 subflow"]);
  const refused = await client.exec([process.execPath, SUBFLOW, "doctor", "--fix"], { mayFail: true, input: "y\n" });
  assert.equal(refused.status, 255);
  assert.match(refused.stderr, /--yes/);
  assert.match(refused.stdout, /limits set subflows 2/);
  const before = await doctor(client);
  assert.ok(before.findings.some(({ id, level }) => id === "limit-subflows" && level === "error"));
  const { applied, status } = await doctor(client, "--fix", "--yes");
  assert.deepEqual(applied.map(({ command }) => command).sort(), [
    "ip mptcp endpoint delete id 3",
    "ip mptcp limits set subflows 2",
  ]);
  assert.equal(status, 0);
  const rest = (await client.exec(["ip", "mptcp", "endpoint"])).stdout;
  assert.match(rest, /10\.0\.1\.1 id 1 subflow dev wifi/);
  assert.match(rest, /10\.0\.2\.1 id 2 subflow dev cellular/);
});

kernelTest("doctor works in another namespace, and without rights it says what it did not look at", async () => {
  await using lab = await healthyLab();
  const client = lab.host("client");
  await client.ip(["mptcp limits set subflows 0"]);
  const server = lab.host("server");
  const there = await server.exec([process.execPath, SUBFLOW, "-n", client.netns, "doctor"], { mayFail: true });
  assert.equal(there.status, 4);
  assert.ok(there.stdout.includes(`nsenter --net=${client.netns} ip mptcp limits set subflows 2`), there.stdout);
  const powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
  const { stdout } = await client.exec([...powerless, process.execPath, SUBFLOW, "-j", "doctor"], { mayFail: true });
  const { level, not_looked: notLooked, findings } = JSON.parse(stdout) as Examination;
  assert.equal(level, "error");
  assert.ok(notLooked.some(({ what }) => /firewall rules of nft/.test(what)));
  assert.ok(!findings.some(({ id }) => id === "firewall-option"), "silence is no health");
});
