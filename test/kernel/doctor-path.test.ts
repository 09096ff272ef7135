import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Host } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";
import { connected, counted, healthyLab, nft, plainServer, RUNTIME } from "./doctor-support.ts";
import { kernelTest } from "./support.ts";

interface Verdict {
  readonly local: string;
  readonly verdict: string;
  readonly because: string;
  readonly join?: string;
  readonly joinNote: string;
}

async function paths(host: Host, ...words: string[]): Promise<{ status: number | null; verdicts: Verdict[] }> {
  const { status, stdout, stderr } = await host.exec([process.execPath, SUBFLOW, "-j", "doctor", ...words], {
    mayFail: true,
  });
  assert.notEqual(stdout, "", stderr);
  return { status, verdicts: JSON.parse(stdout) as Verdict[] };
}

kernelTest("doctor --path: survives on both, and the join too", async () => {
  await using lab = await healthyLab();
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const { status, verdicts } = await paths(lab.host("client"), "--path", `10.0.1.2:${service.port}`, "--join");
  assert.deepEqual(
    verdicts.map(({ local, verdict, join }) => [local, verdict, join]),
    [
      ["10.0.1.1", "survives", undefined],
      ["10.0.2.1", "survives", "established"],
    ],
  );
  assert.equal(status, 0);
  assert.equal(lab.host("client").counters().Blackhole, 0);
});

kernelTest("doctor --path: a path that takes the option out, beside one that does not", async () => {
  await using lab = await healthyLab();
  const server = lab.host("server");
  const service = await server.listen({ address: "0.0.0.0" });
  await nft(server, "iifname cellular reset tcp option mptcp");
  const { status, verdicts } = await paths(lab.host("client"), "--path", `10.0.1.2:${service.port}`);
  assert.deepEqual(
    verdicts.map(({ verdict }) => verdict),
    ["survives", "does not survive"],
  );
  assert.match(verdicts[1]!.because, /plain TCP twice/);
  assert.equal(status, 3);
});

kernelTest(
  "doctor --path: SYNs with MPTCP that vanish are told from a dead path, and no blackhole is declared",
  async () => {
    await using lab = await healthyLab();
    const [client, server] = [lab.host("client"), lab.host("server")];
    const service = await server.listen({ address: "0.0.0.0" });
    await nft(server, "iifname cellular tcp option mptcp exists drop");
    const dropped = await paths(client, "--path", `10.0.1.2:${service.port}`);
    assert.deepEqual(
      dropped.verdicts.map(({ verdict }) => verdict),
      ["survives", "does not survive"],
    );
    assert.match(dropped.verdicts[1]!.because, /no answer twice with MPTCP, where plain TCP/);
    await nft(server, "iifname cellular drop");
    const dead = await paths(client, "--path", `10.0.1.2:${service.port}`);
    assert.deepEqual(
      dead.verdicts.map(({ verdict }) => verdict),
      ["survives", "unknown"],
    );
    assert.match(dead.verdicts[1]!.because, /plain TCP does not get through either/);
    const { Blackhole, MPCapableSYNTXDrop } = client.counters();
    assert.deepEqual([Blackhole, MPCapableSYNTXDrop], [0, 0]);
  },
);

kernelTest("doctor --path: a host without MPTCP is no verdict against any path", async () => {
  await using lab = await healthyLab();
  await plainServer(lab.host("server"));
  const { status, verdicts } = await paths(lab.host("client"), "--path", "10.0.1.2:7000");
  assert.deepEqual(
    verdicts.map(({ verdict }) => verdict),
    ["unknown", "unknown"],
  );
  const closed = await paths(lab.host("client"), "--path", "10.0.1.2:7001");
  assert.deepEqual(
    closed.verdicts.map(({ verdict }) => verdict),
    ["unknown", "unknown"],
  );
  assert.deepEqual([status, closed.status], [3, 3]);
});

kernelTest("report: one file with everything, and masked without an address", async () => {
  await using lab = await healthyLab();
  const client = lab.host("client");
  await connected(lab);
  await counted(lab, "client", "MPJoinSynAckRx");
  // systemd names what is plugged in by its hardware address, which is in its sysctls' names too.
  await client.ip(["link add enx021a2b3c4d5e type veth peer name other"]);
  const file = join(RUNTIME, "report.md");
  await client.exec([process.execPath, SUBFLOW, "report", file, "--window", "0"]);
  const text = readFileSync(file, "utf8");
  for (const heading of [
    "doctor",
    "sysctls",
    "endpoints",
    "limits",
    "links",
    "routes",
    "rules",
    "connections",
    "counters",
    "growth",
  ]) {
    assert.match(text, new RegExp(`^## ${heading}$`, "m"));
  }
  assert.match(text, /"address":"10\.0\.2\.1"/);
  assert.match(text, /enx021a2b3c4d5e/);
  const masked = (await client.exec([process.execPath, SUBFLOW, "-j", "report", "--mask", "--window", "0"])).stdout;
  assert.doesNotMatch(masked, /10\.0\.\d|(?!00:00)[0-9a-f]{2}(:[0-9a-f]{2}){5}|fe80:|021a2b3c4d5e/);
  assert.doesNotMatch(masked, new RegExp(`(?<![\\w-])${hostname()}(?![\\w-])`), "the host's name");
  assert.match(masked, /"name":"enxmac-\d+"/);
  const { endpoints, addresses } = JSON.parse(masked) as Record<string, { address: string }[]>;
  const known = new Set(addresses?.map(({ address }) => address));
  assert.ok(
    endpoints?.every(({ address }) => known.has(address)),
    "the same address has the same mask",
  );
});
