import assert from "node:assert/strict";
import { type Host, Lab, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import {
  listListeners,
  MptcpPm,
  NETLINK,
  NetlinkClient,
  NetlinkError,
  netnsInode,
  probeFeatures,
  Rtnl,
  readCounters,
  readMptcpSysctls,
  readPathManager,
  writePathManager,
  writeSysctl,
} from "../../src/netlink/index.ts";
import {
  type Address,
  type Connection,
  carriedBy,
  ENDPOINT_FLAG,
  ERRNO,
  MPTCP_EVENT,
  type MptcpEvent,
  parseAddress,
  pathKey,
} from "../../src/types/index.ts";
import { kernelTest } from "./support.ts";

const DEADLINE = 5000;
const ip = (text: string): Address => {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
};

interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly pm: MptcpPm;
}

async function world(use: (world: World) => Promise<void> | void): Promise<void> {
  const link = (n: number) => ({ name: `l${n}`, ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] } });
  await using lab = await Lab.create({ hosts: { client: {}, server: {} }, links: [link(1), link(2)] });
  const client = lab.host("client");
  using pm = MptcpPm.open({ netns: client.netns });
  await use({ lab, client, server: lab.host("server"), pm });
}

/** What a refused command says, as "errno text (attribute)". */
function refusal(attempt: () => void): string {
  try {
    attempt();
  } catch (error) {
    assert.ok(error instanceof NetlinkError, String(error));
    return `${error.errno} ${error.kernelMessage} (${error.attribute})`;
  }
  return "taken";
}

kernelTest("endpoints and limits: every command, and every refusal with the kernel's own text", () =>
  world(({ pm }) => {
    pm.setLimits({ subflows: 5 });
    assert.deepEqual(pm.limits(), { subflows: 5, addAddrAccepted: 0 }, "the other one keeps its value");
    pm.addEndpoint({
      address: ip("10.0.2.1"),
      flags: ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.backup,
      interfaceIndex: 3,
      id: 9,
    });
    pm.addEndpoint({ address: ip("2001:db8::1"), flags: ENDPOINT_FLAG.signal });
    const [first, second] = pm.endpoints();
    assert.deepEqual(first, { id: 9, address: "10.0.2.1", port: 0, flags: 6, interfaceIndex: 3 });
    assert.deepEqual(pm.endpoint(second?.id ?? 0), second);
    pm.changeEndpoint({ id: 9, flags: ENDPOINT_FLAG.fullmesh });
    assert.equal(pm.endpoint(9).flags, ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.fullmesh);
    pm.deleteEndpoint({ id: 9 });
    assert.equal(pm.endpoints().length, 1);
    pm.flushEndpoints();
    assert.deepEqual(pm.endpoints(), []);

    pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow });
    const cases: [() => void, RegExp][] = [
      [() => pm.addEndpoint({ address: ip("10.0.2.1"), flags: 2 }), /^17 too many addresses or duplicate one: -17/],
      [() => pm.addEndpoint({ address: ip("10.0.2.5"), flags: 2, id: pm.endpoints()[0]?.id }), /^16 .*-16/],
      [
        () => pm.addEndpoint({ address: ip("10.0.2.5"), flags: 2, port: 8080 }),
        /^22 flags must have signal and not subflow when using port/,
      ],
      [() => pm.addEndpoint({ address: ip("10.0.2.5"), flags: ENDPOINT_FLAG.signal | ENDPOINT_FLAG.fullmesh }), /^22 /],
      [() => pm.addEndpoint({ address: ip("10.0.99.1"), flags: 1, port: 8080 }), /^99 /],
      [() => pm.deleteEndpoint({ id: 77 }), /^22 address not found/],
      [() => pm.endpoint(77), /^22 address not found/],
      [() => pm.changeEndpoint({ flags: 4 }), /^95 missing address ID \(addr\)/],
      [() => pm.setLimits({ subflows: 1000 }), /^22 limit greater than maximum \(\d+\) \(subflows\)/],
      [() => pm.announce({ token: 1, address: ip("10.0.2.1"), id: 1 }), /^22 invalid token \(token\)/],
      [() => pm.remove({ token: 1, id: 1 }), /^22 invalid token/],
      [() => pm.localAddresses(1), /^22 invalid token/],
    ];
    for (const [attempt, expected] of cases) assert.match(refusal(attempt), expected);
  }),
);

kernelTest("several commands in one send: each has its own answer, a failed one stops no other", () =>
  world(({ pm }) => {
    const add = (text: string) => pm.request("add", { command: 1, address: { address: ip(text), flags: 2 } });
    const results = pm.client.executeAll([add("10.0.2.1"), add("10.0.2.1"), add("10.0.2.3")]);
    assert.deepEqual(
      results.map((error) => error?.errno),
      [undefined, ERRNO.EEXIST, undefined],
    );
    assert.equal(pm.endpoints().length, 2);
    const many = pm.client.lookUpAll(
      Array.from({ length: 600 }, (_, i) => pm.request("show", { command: 3, address: { id: i % 2 ? 1 : 200 } })),
      new Set([ERRNO.EINVAL]),
      () => 1,
    );
    assert.equal(many.filter((answer) => answer === 1).length, 300, "more than one batch");
  }),
);

async function establish({ lab, client, server }: World, address = "10.0.1.2") {
  const service = await server.listen({ address });
  const connection: TrafficConnection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 100);
  await transfer(connection.server, connection.client, 100);
  const token = (host: Host): number => {
    using pm = MptcpPm.open({ netns: host.netns });
    return pm.connections().find(({ state }) => state === "established")?.token ?? 0;
  };
  await lab.waitFor(() => token(client) !== 0 && token(server) !== 0, DEADLINE, "tokens");
  return { connection, token: token(client), serverToken: token(server) };
}

kernelTest("the userspace path manager: every command, and every event at both ends", () =>
  world(async (here) => {
    const { lab, client, server, pm } = here;
    for (const host of [client, server]) writePathManager("userspace", host.netns);
    assert.equal(readPathManager(client.netns), "userspace");
    using serverPm = MptcpPm.open({ netns: server.netns });
    const seen: { host: string; event: MptcpEvent }[] = [];
    using ours = pm.watch((event) => seen.push({ host: "client", event }), assert.fail);
    using theirs = serverPm.watch((event) => seen.push({ host: "server", event }), assert.fail);
    const event = async (host: string, type: number, matches: (event: MptcpEvent) => boolean = () => true) => {
      const find = () =>
        seen.find((each) => each.host === host && each.event.type === type && matches(each.event))?.event;
      await lab.waitFor(() => find() !== undefined, DEADLINE, `event ${type} at the ${host}`);
      return find()!;
    };
    const { connection, token, serverToken } = await establish(here, "::");
    assert.equal((await event("client", MPTCP_EVENT.CREATED)).token, token);
    assert.equal((await event("client", MPTCP_EVENT.ESTABLISHED)).remoteAddress, "10.0.1.2");
    const created = await event("server", MPTCP_EVENT.CREATED);
    assert.deepEqual([created.serverSide, created.localAddress], [1, "::ffff:10.0.1.2"]);
    assert.ok((await event("server", MPTCP_EVENT.LISTENER_CREATED)).localPort);

    serverPm.announce({ token: serverToken, address: ip("10.0.2.2"), id: 7 });
    const announced = await event("client", MPTCP_EVENT.ANNOUNCED);
    assert.deepEqual([announced.remoteId, announced.remoteAddress], [7, "10.0.2.2"]);
    const port = created.localPort ?? 0;
    pm.createSubflow({
      token,
      local: { address: ip("10.0.2.1"), id: 3, backup: true },
      remote: { address: ip("10.0.2.2"), port, id: 7 },
    });
    const joined = await event("server", MPTCP_EVENT.SUB_ESTABLISHED);
    assert.deepEqual([joined.localId, joined.remoteId, joined.backup], [7, 3, 1]);
    const own = await event("client", MPTCP_EVENT.SUB_ESTABLISHED);
    const path = {
      local: { address: own.localAddress!, port: own.localPort! },
      remote: { address: own.remoteAddress!, port: own.remotePort! },
    };
    assert.deepEqual(
      pm.localAddresses(token).map(({ id, address }) => [id, address]),
      [[3, "10.0.2.1"]],
    );
    pm.setBackup({ token, path, backup: false });
    assert.equal((await event("server", MPTCP_EVENT.SUB_PRIORITY)).backup, 0);

    assert.match(
      refusal(() =>
        pm.createSubflow({
          token,
          local: { address: ip("2001:db8::1"), id: 4 },
          remote: { address: ip("10.0.2.2"), port },
        }),
      ),
      /families mismatch/,
    );
    assert.match(
      refusal(() =>
        pm.createSubflow({
          token,
          local: { address: ip("10.0.77.1"), id: 5 },
          remote: { address: ip("10.0.2.2"), port },
        }),
      ),
      /connect error: -99/,
    );
    assert.match(
      refusal(() => pm.announce({ token, address: ip("10.0.2.9"), id: 0 })),
      /invalid addr id/,
    );
    assert.match(
      refusal(() => pm.remove({ token, id: 99 })),
      /address with id 99 not found/,
    );

    pm.client.executeAll([pm.removeRequest({ token, id: 3 }), pm.destroySubflowRequest({ token, path })]);
    assert.equal((await event("server", MPTCP_EVENT.REMOVED)).remoteId, 3);
    assert.equal((await event("client", MPTCP_EVENT.SUB_CLOSED)).localAddress, "10.0.2.1");
    await event("server", MPTCP_EVENT.SUB_CLOSED);
    assert.match(
      refusal(() => pm.destroySubflow({ token, path })),
      /^3 subflow not found/,
    );
    connection.destroy();
    await event("client", MPTCP_EVENT.CLOSED, (each) => each.token === token);
    await event("server", MPTCP_EVENT.CLOSED, (each) => each.token === serverToken);
    void ours;
    void theirs;
  }),
);

kernelTest(
  "connection(): one, looked up where its subflows are known to be, and complete where they are not",
  (context) =>
    world(async (here) => {
      const { lab, client, pm } = here;
      const { token } = await establish(here);
      await establish(here);
      const other = pm.connections().find((each) => each.token !== token)?.token ?? 0;
      using rtnl = Rtnl.open({ netns: client.netns });
      const interfaceIndex = rtnl.links().find(({ name }) => name === "l2")?.index ?? 0;
      const listed = () => pm.connections().find((each) => each.token === token);
      pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow, interfaceIndex });
      const isWhole = () => listed()?.subflows.filter(({ state }) => state === "established").length === 2;
      await lab.waitFor(isWhole, DEADLINE, "two subflows");
      const hints = listed()?.subflows ?? [];
      const dumps = context.mock.method(NetlinkClient.prototype, "dump");
      const dumped = () => dumps.mock.calls.map(({ arguments: [request] }) => request.operation).join();
      const pathsIn = (connection?: Connection) => connection?.subflows.map(({ path }) => pathKey(path)).sort();

      const known = pm.connection(token, hints);
      assert.equal(dumped(), "", "nothing else was looked at");
      assert.deepEqual(pathsIn(known), pathsIn(listed()));
      assert.deepEqual(
        [known?.token, known?.side, known?.pathManager, known?.subflowsTotal],
        [token, "client", "kernel", 2],
      );
      assert.equal(known?.subflows.find(({ join }) => join)?.interfaceIndex, interfaceIndex);

      dumps.mock.resetCalls();
      const unbound = hints.map(({ path }) => ({ path, interfaceIndex: 0 }));
      for (const poor of [[], hints.slice(0, 1), unbound])
        assert.deepEqual(pathsIn(pm.connection(token, poor)), pathsIn(known));
      assert.match(dumped(), /list TCP sockets/, "the kernel counts more subflows than were found");
      assert.equal(pm.connection(other)?.token, other);
      assert.equal(pm.connection(0), undefined);
      assert.equal(pm.connection((token + 1) % 2 ** 32), undefined);

      await lab.link("l2").blackhole(true);
      pm.flushEndpoints();
      pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow, interfaceIndex });
      const unknownPort = [
        { path: { local: { address: ip("10.0.2.1"), port: 0 }, remote: known!.path.remote }, interfaceIndex },
      ];
      const find = () => pm.connection(token, unknownPort);
      await lab.waitFor(() => find()?.subflows.some(({ state }) => state === "syn-sent") === true, DEADLINE, "a SYN");
      dumps.mock.resetCalls();
      assert.equal(find()?.subflows.length, 2);
      assert.equal(dumped(), "list TCP sockets", "those with a SYN on its way, of both families");
    }),
);

kernelTest("connection(): IPv4 in an IPv6 socket, and one whose initial subflow is gone", () =>
  world(async (here) => {
    const { lab, server, pm } = here;
    await establish(here, "::");
    using theirs = MptcpPm.open({ netns: server.netns });
    const [listed] = theirs.connections();
    assert.match(listed?.path.local.address ?? "", /^::ffff:/);
    const found = theirs.connection(listed?.token ?? 0);
    assert.deepEqual([found?.path, found?.subflows.length, found?.side], [listed?.path, 1, "server"]);

    pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow });
    await lab.waitFor(() => theirs.connections()[0]?.subflows.length === 2, DEADLINE, "two subflows");
    pm.deleteEndpoint({ id: 0, address: ip("10.0.1.1") });
    await lab.waitFor(() => theirs.connections()[0]?.subflows.length === 1, DEADLINE, "one subflow");
    const left = theirs.connection(listed?.token ?? 0, theirs.connections()[0]?.subflows);
    assert.deepEqual([left?.subflows[0]?.join, left?.side], [true, "server"]);
  }),
);

kernelTest("connections(): joined from both dumps, with owner, side, SYN-SENT, and listeners apart", () =>
  world(async (here) => {
    const { lab, client, server, pm } = here;
    const { token } = await establish(here);
    using rtnl = Rtnl.open({ netns: client.netns });
    const interfaceIndex = rtnl.links().find(({ name }) => name === "l2")?.index;
    pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.backup, interfaceIndex });
    await lab.waitFor(() => pm.connections()[0]?.subflows.length === 2, DEADLINE, "two subflows");
    await lab.waitFor(
      () => pm.connections()[0]?.subflows.every(({ state }) => state === "established") === true,
      DEADLINE,
      "both established",
    );
    const [connection] = pm.connections();
    assert.ok(connection);
    assert.deepEqual(
      [connection.token, connection.side, connection.pathManager, connection.fallback],
      [token, "client", "kernel", false],
    );
    assert.deepEqual([connection.extraSubflows, connection.subflowsTotal, connection.uid], [1, 2, 0]);
    assert.ok(carriedBy(connection).sent >= 100 && carriedBy(connection).received >= 100 && connection.inode > 0);
    const join = connection.subflows.find((each) => each.join);
    assert.deepEqual([join?.localId, join?.remoteId, join?.initiated, join?.backupLocal], [1, 0, true, true]);
    assert.ok(connection.subflows.every(({ rtt, mss, cwnd }) => rtt > 0 && mss > 0 && cwnd > 0));
    using serverPm = MptcpPm.open({ netns: server.netns });
    assert.equal(serverPm.connections()[0]?.side, "server");
    assert.equal(serverPm.connections()[0]?.subflows.find((each) => each.join)?.backupRemote, true);
    assert.ok(listListeners(server.netns).some(({ local }) => local.port !== 0));

    await lab.link("l2").blackhole(true);
    pm.flushEndpoints();
    pm.addEndpoint({ address: ip("10.0.2.1"), flags: ENDPOINT_FLAG.subflow, interfaceIndex });
    const pending = () => pm.connections()[0]?.subflows.find(({ state }) => state === "syn-sent");
    await lab.waitFor(() => pending() !== undefined, DEADLINE, "a SYN on its way");
    assert.equal(pending()?.path.local.address, "10.0.2.1");
  }),
);

kernelTest("events as an async iterable end with the signal, and with the loop", () =>
  world(async (here) => {
    const controller = new AbortController();
    const stream = here.pm.events({ signal: controller.signal });
    await establish(here);
    for await (const item of stream) {
      assert.notEqual(item.type, "overrun");
      if (item.type === MPTCP_EVENT.ESTABLISHED) break;
    }
    const second = here.pm.events({ signal: controller.signal });
    controller.abort();
    for await (const item of second) assert.fail(JSON.stringify(item));
  }),
);

kernelTest("an overrun is told once, and later events arrive", () =>
  world(async (here) => {
    const { lab, client } = here;
    using rtnl = Rtnl.open({ netns: client.netns });
    let events = 0;
    let overruns = 0;
    const { NetlinkSubscription } = await import("../../src/netlink/index.ts");
    using subscription = new NetlinkSubscription(NETLINK.ROUTE, [5], {
      netns: client.netns,
      receiveBuffer: 4096,
      onMessage: () => events++,
      onOverrun: () => overruns++,
    });
    void subscription;
    // More than the answer thread keeps for us, and the kernel keeps next to nothing.
    const addresses = Array.from({ length: 6000 }, (_, i) => `10.9.${i >> 8}.${i & 255}/32 dev l1`);
    // Synchronous on purpose: our loop must not take anything from the thread in between.
    const { execFileSync } = await import("node:child_process");
    execFileSync("nsenter", [`--net=${client.netns}`, "ip", "-batch", "-"], {
      input: addresses.map((each) => `address add ${each}\n`).join(""),
    });
    await lab.waitFor(() => overruns > 0, DEADLINE, "the overrun");
    const before = events;
    await client.ip(["address add 10.99.9.9/32 dev l1"]);
    await lab.waitFor(() => events > before, DEADLINE, "an event after it");
    assert.ok(rtnl.addresses().length > 6000, "what was missed is there to be read");
  }),
);

kernelTest("rtnetlink: links, addresses, routes, rules; route look-ups; what cannot be", () =>
  world(async ({ client }) => {
    using rtnl = Rtnl.open({ netns: client.netns });
    const index = rtnl.links().find(({ name }) => name === "l1")?.index ?? 0;
    assert.deepEqual(
      rtnl
        .addresses()
        .filter(({ interfaceIndex, address }) => interfaceIndex === index && !address.includes(":"))
        .map(({ address, prefixLength }) => [address, prefixLength]),
      [["10.0.1.1", 24]],
    );
    assert.equal(rtnl.routeTo(ip("10.0.1.2"))?.preferredSource, "10.0.1.1");
    assert.equal(rtnl.routeTo(ip("198.51.100.1")), undefined, "no default route");
    const route = {
      family: 2,
      destination: undefined,
      destinationLength: 0,
      gateway: ip("10.0.1.2"),
      outputInterface: index,
      table: 20_777,
      priority: 7,
      scope: 0,
      preferredSource: undefined,
      protocol: 154,
    };
    const rule = {
      family: 2,
      source: ip("10.0.1.1"),
      sourceLength: 32,
      table: 20_777,
      priority: 20_000,
      protocol: 154,
    };
    rtnl.changeRoute("add", route);
    rtnl.changeRule("add", rule);
    assert.ok(
      rtnl.routes().some(({ table, protocol, priority }) => table === 20_777 && protocol === 154 && priority === 7),
    );
    assert.ok(
      rtnl.rules().some(({ table, protocol, source }) => table === 20_777 && protocol === 154 && source === "10.0.1.1"),
    );
    assert.equal(rtnl.routeTo(ip("198.51.100.1"), { source: ip("10.0.1.1") })?.gateway, "10.0.1.2");
    assert.match(
      refusal(() => rtnl.changeRule("add", rule)),
      /^17 /,
    );
    rtnl.changeRule("delete", rule);
    rtnl.changeRoute("delete", route);
    assert.match(
      refusal(() => rtnl.changeRoute("delete", route)),
      /^3 /,
    );
  }),
);

kernelTest("sysctls, counters, namespaces, features", () =>
  world(({ client }) => {
    assert.equal(readMptcpSysctls(client.netns).get("enabled"), "1");
    writeSysctl("net.mptcp.enabled", "0", client.netns);
    assert.equal(readMptcpSysctls(client.netns).get("enabled"), "0");
    assert.match(
      refusal(() => writeSysctl("net.mptcp.enabled", "many", client.netns)),
      /^22 /,
    );
    assert.match(
      refusal(() => writeSysctl("net.mptcp.nonsense", "1", client.netns)),
      /^2 /,
    );
    assert.equal(readCounters(client.netns).MPCapableSYNTX, 0);
    assert.notEqual(netnsInode(client.netns), netnsInode());
    const features = probeFeatures();
    assert.ok((features.limitMax ?? 0) >= 8 && (features.endpointsMax ?? 0) >= 8 && features.userspacePathManager);
    assert.throws(
      () => MptcpPm.open({ netns: "no-such-namespace" }),
      /cannot open network namespace "no-such-namespace".*ip netns list/,
    );
    assert.throws(() => MptcpPm.open({ netns: "/dev/null" }), /EINVAL/);
  }),
);
