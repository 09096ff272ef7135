import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type TestContext, type TestOptions, test } from "node:test";
import { type Host, type Lab, labAccess, patience } from "../../src/lab/index.ts";
import { loadNative, MptcpPm } from "../../src/netlink/index.ts";
import { AF_INET, ENDPOINT_FLAG, errnoName } from "../../src/types/index.ts";

let reason: string | undefined | null = null;

/** Why kernel tests cannot run here, found out by trying; undefined when they can. */
export function whyNot(): string | undefined {
  if (reason === null) reason = probe();
  return reason;
}

function probe(): string | undefined {
  const access = labAccess();
  if (access.how === "none") return access.reason;
  if (access.how === "rootless") return "needs network namespaces: run as root, or as `unshare -Urn npm test`";
  const fd = loadNative().mptcpSocket(AF_INET, -1);
  if (fd < 0) return `this kernel makes no MPTCP socket: ${errnoName(-fd)}`;
  loadNative().close(fd);
  return undefined;
}

/** A test on the real kernel; skipped with the reason where that is impossible, a failure with EXPECT_KERNEL=1. */
export function kernelTest(
  name: string,
  run: (context: TestContext) => Promise<void> | void,
  options: Pick<TestOptions, "concurrency"> = {},
): void {
  const obstacle = whyNot(); // tells how slow the machine is, too
  const timeout = patience(process.env.SOAK === undefined ? 240_000 : 3_600_000);
  void test(name, { timeout, ...options }, async (context) => {
    if (obstacle === undefined) return run(context);
    assert.ok(!process.env.EXPECT_KERNEL, `EXPECT_KERNEL is set, but ${obstacle}`);
    context.skip(obstacle);
  });
}

/** A test that needs somebody else's program too. */
export function peerTest(name: string, program: string, run: (context: TestContext) => Promise<void>): void {
  kernelTest(name, async (context) => {
    if (existsSync(program)) return run(context);
    assert.ok(!process.env.EXPECT_KERNEL, `EXPECT_KERNEL is set, but ${program} is not there`);
    context.skip(`${program} is not installed`);
  });
}

export const MPTCPD = "/usr/libexec/mptcpd";

/**
 * Starts the real mptcpd, which announces every address of the host, and waits until it has.
 * @returns whether its endpoints are all there
 */
export async function startMptcpd(lab: Lab, host: Host): Promise<() => boolean> {
  const args = ["--addr-flags=signal", "--notify-flags=existing", "--path-manager=addr_adv"];
  const process = host.spawn([MPTCPD, ...args], { stdio: "ignore" });
  const addresses = [...lab.links].map((link) => link.address(host));
  const hasAll = (): boolean => {
    using pm = MptcpPm.open({ netns: host.netns });
    const theirs = pm.endpoints().filter(({ flags }) => flags === ENDPOINT_FLAG.signal);
    return addresses.every((address) => theirs.some((each) => each.address === address));
  };
  await lab.waitFor(() => hasAll() && process.exitCode === null, 10_000, "mptcpd's endpoints");
  return hasAll;
}
