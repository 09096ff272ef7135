import assert from "node:assert/strict";
import { join } from "node:path";
import { type Host, Lab } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { ENDPOINT_FLAG } from "../../src/types/index.ts";
import { configFile, DaemonProcess, KERNEL } from "./daemon-support.ts";
import { peerTest } from "./support.ts";

const NETWORK_MANAGER = "/usr/sbin/NetworkManager";
/** NetworkManager takes some seconds to start. Milliseconds. */
const DEADLINE = 20_000;

/**
 * NetworkManager with a D-Bus of its own, in a mount namespace where /run is empty and /sys is read-only (then it does not
 * wait for udev). `$1` is added to each connection's [connection] section, `$2` is a file for conf.d.
 */
const SCRIPT = `
set -e
mount -t tmpfs tmpfs /run
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /run/NetworkManager/system-connections /run/conf.d
[ -z "$2" ] || cp "$2" /run/conf.d/subflow.conf
dbus-daemon --system --nofork --nopidfile >/dev/null 2>&1 & BUS=$!
trap 'kill $BUS $MANAGER 2>/dev/null' EXIT
while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
for i in 1 2; do
  file=/run/NetworkManager/system-connections/c$i.nmconnection
  printf '[connection]\\nid=Home net %s\\ntype=ethernet\\ninterface-name=eth%s\\n%s\\n[ipv4]\\nmethod=manual\\naddress1=10.0.%s.1/24,10.0.%s.254\\n[ipv6]\\nmethod=disabled\\n' $i $i "$1" $i $i > $file
  chmod 600 $file
done
printf '[main]\\nplugins=keyfile\\nno-auto-default=*\\ndns=none\\nrc-manager=unmanaged\\n[device-eth]\\nmatch-device=interface-name:eth*\\nmanaged=1\\n' > /run/nm.conf
${NETWORK_MANAGER} --no-daemon --config /run/nm.conf --config-dir /run/conf.d --state-file /run/nm.state --pid-file /run/nm.pid >/dev/null 2>&1 & MANAGER=$!
wait $MANAGER
`;

interface World {
  readonly lab: Lab;
  readonly host: Host;
  readonly pm: MptcpPm;
  /** Process in NetworkManager's mount namespace. */
  readonly beside: number;
}

async function withNetworkManager(section: string, use: (world: World) => Promise<void>, dropIn = ""): Promise<void> {
  const link = (n: number) => ({ name: `eth${n}`, ends: { host: [], hub: [`10.0.${n}.254/24`] } });
  await using lab = await Lab.create({ hosts: { host: {}, hub: {} }, links: [link(1), link(2)] });
  const host = lab.host("host");
  host.sysctl("net.ipv4.conf.eth1.rp_filter", 1);
  const manager = host.spawn(
    ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "bash", "-c", SCRIPT, "nm", section, dropIn],
    { stdio: "ignore" },
  );
  using pm = MptcpPm.open({ netns: host.netns });
  await lab.waitFor(
    async () => (await host.exec(["ip", "route", "show", "default"])).stdout.split("default").length === 3,
    DEADLINE,
    "both connections of NetworkManager",
  );
  await use({ lab, host, pm, beside: manager.pid ?? 0 });
  manager.kill("SIGTERM");
}

/** The packaged drop-in. */
const DROP_IN = join(import.meta.dirname, "..", "..", "..", "packaging", "drop-ins", "NetworkManager.conf");

const endpoints = (pm: MptcpPm) => pm.endpoints().map(({ address, flags }) => `${address} ${flags}`);

peerTest(
  "NetworkManager's endpoints are recognised, left alone, and the command named that turns them off",
  NETWORK_MANAGER,
  () =>
    withNetworkManager("", async ({ lab, host, pm, beside }) => {
      const theirs = [`10.0.1.1 ${ENDPOINT_FLAG.subflow}`, `10.0.2.1 ${ENDPOINT_FLAG.subflow}`];
      await lab.waitFor(() => endpoints(pm).join() === theirs.join(), DEADLINE, "NetworkManager's endpoints");
      assert.equal(host.sysctl("net.ipv4.conf.eth1.rp_filter"), "2", "it relaxes rp_filter too");
      const daemon = await DaemonProcess.startBeside(beside, lab, host, ...KERNEL);
      await daemon.logged(/NetworkManager \(process \d+\) sets MPTCP endpoints here too.*nmcli connection modify/);
      assert.deepEqual(endpoints(pm), theirs);
      assert.doesNotMatch(daemon.log, /endpoint (add|delete|change)/);
      await daemon.end();
      assert.deepEqual(endpoints(pm), theirs);
      assert.equal(host.sysctl("net.ipv4.conf.eth1.rp_filter"), "2", "what it set is not ours to put back");
    }),
);

peerTest("roles by the connection names of NetworkManager, its own MPTCP turned off", NETWORK_MANAGER, () =>
  withNetworkManager("mptcp-flags=1", async ({ lab, host, pm, beside }) => {
    assert.deepEqual(endpoints(pm), [], "disabled by mptcp-flags");
    const config = configFile('interfaces: [{ connection: "* net 2", role: backup }]\n');
    await DaemonProcess.startBeside(beside, lab, host, ...KERNEL, "--config", config);
    const wanted = `10.0.2.1 ${ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.backup | ENDPOINT_FLAG.fullmesh}`;
    await lab.waitFor(() => endpoints(pm).includes(wanted), DEADLINE, "the backup role");
    assert.equal(host.sysctl("net.ipv4.conf.eth1.rp_filter"), "2", "ours this time");
  }),
);

peerTest("with the packaged drop-in NetworkManager sets no endpoint, and Subflow sets its own", NETWORK_MANAGER, () =>
  withNetworkManager(
    "",
    async ({ lab, host, pm, beside }) => {
      assert.deepEqual(endpoints(pm), [], "NetworkManager leaves them alone");
      const daemon = await DaemonProcess.startBeside(beside, lab, host, ...KERNEL);
      await lab.waitFor(() => endpoints(pm).length === 2, DEADLINE, "our endpoints");
      assert.doesNotMatch(daemon.log, /sets MPTCP endpoints here too/);
      assert.equal(await daemon.end(), 0, daemon.log);
      assert.deepEqual(endpoints(pm), [], "nothing is left");
    },
    DROP_IN,
  ),
);
