import assert from "node:assert/strict";
import { transfer } from "../../src/lab/index.ts";
import { DEADLINE, pathsOf, subflow, subflowsOf } from "./daemon-support.ts";
import { connected, OUTAGES } from "./outage-support.ts";
import { becomes, roles, withPolicy } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

kernelTest(
  "active-backup: the other takes over, and the first is active again when it has been there for a while",
  () =>
    withPolicy("active-backup", async (world) => {
      const { client, server } = await connected(world, "userspace");
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      await OUTAGES["interface down"](world, 1, false);
      await becomes(world, "10.0.2.1 active");
      assert.ok((await transfer(client, server, 100_000)).isIntact);
      await OUTAGES["interface down"](world, 1, true);
      await becomes(world, "10.0.1.1 backup,10.0.2.1 active");
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      assert.ok((await transfer(server, client, 100_000)).isIntact);
    }),
);

kernelTest("one-per-interface: a second address of a link gets no subflow, until the first is lost", () =>
  withPolicy("one-per-interface", async (world) => {
    const { lab, client } = world;
    await client.ip(["address add 10.0.2.11/24 dev eth2"]);
    await connected(world, "userspace");
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "a subflow for each link");
    const other = pathsOf(client).join().includes("10.0.2.11>") ? "10.0.2.1" : "10.0.2.11";
    assert.ok(!pathsOf(client).join().includes(`${other}>`));
    await client.ip([`address del ${other === "10.0.2.1" ? "10.0.2.11" : "10.0.2.1"}/24 dev eth2`]);
    await client.ip([`address replace ${other}/24 dev eth2`, "route replace default via 10.0.2.2 dev eth2 metric 200"]);
    const expected = `10.0.1.1>10.0.1.2,${other}>10.0.1.2`;
    await lab.waitFor(() => pathsOf(client).join() === expected, DEADLINE, expected);
  }),
);

kernelTest("refresh: the slowest subflow of a transfer is opened anew from another port", () =>
  withPolicy(
    "refresh",
    async (world) => {
      const { lab } = world;
      await lab.link("eth1").setRate("20mbit");
      await lab.link("eth2").setRate("2mbit");
      const service = await world.server.listen({ address: "0.0.0.0" });
      const { client, server } = await service.connect(world.client.netns, { to: "10.0.1.2" });
      await transfer(client, server, 1000);
      await lab.waitFor(() => subflowsOf(world.client).length === 4, DEADLINE, "as many subflows as the limits allow");
      const ports = () =>
        subflowsOf(world.client)
          .filter(({ path, state }) => path.local.address === "10.0.2.1" && state === "established")
          .map(({ path }) => path.local.port)
          .sort()
          .join();
      const before = ports();
      // Ten seconds, by the policy; a slow machine needs more of them.
      for (let times = 0; ports() === before || ports().length < before.length; times++) {
        assert.ok(times < 100, `${ports()} as at first`);
        assert.ok((await transfer(client, server, 1_000_000)).isIntact);
      }
    },
    { more: "limits: { subflows: 3 }\n" },
  ),
);

kernelTest("policy set: one connection gets another policy while it runs, and `connections` and `why` say which", () =>
  withPolicy("one-per-interface", async (world) => {
    const { lab, client } = world;
    await connected(world, "userspace");
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "a subflow for each link");
    assert.equal(roles(world), "10.0.1.1 active,10.0.2.1 active");
    const [{ token } = { token: "" }] = JSON.parse(subflow(client, "-j", "connections").stdout) as { token: string }[];
    const wrong = subflow(client, "policy", "set", token, "active-backup", "hold_down=3");
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /hold_down: "3" is not a time/);
    assert.equal(subflow(client, "policy", "set", token, "active-backup", "hold_down=3s").status, 0);
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    assert.match(subflow(client, "connections").stdout, /policy active-backup hold_down=3s/);
    assert.match(subflow(client, "why", token).stdout, /policy active-backup hold_down=3s/);
  }),
);
