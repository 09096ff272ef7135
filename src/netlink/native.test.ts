import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ERRNO } from "../types/index.ts";
import { loadNative, type NativeAddon } from "./native.ts";

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;

/** nlmsghdr and ifinfomsg (linux/netlink.h, linux/rtnetlink.h). */
function linkMessage(type: number, flags: number, link: { index: number; up?: boolean }): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 32, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 7, true);
  view.setInt32(20, link.index, true);
  view.setUint32(24, link.up ? 1 : 0, true);
  view.setUint32(28, link.up === undefined ? 0 : 1, true);
  return bytes;
}

function messageTypes(slab: Uint8Array, length: number): number[] {
  const view = new DataView(slab.buffer, slab.byteOffset);
  const types: number[] = [];
  for (let at = 0; at + 16 <= length; at += (view.getUint32(at, true) + 3) & ~3)
    types.push(view.getUint16(at + 4, true));
  return types;
}

/** A namespace of one's own, or the reason why there is none. */
async function makeNamespace(): Promise<{ holder: ChildProcess; fd: number } | string> {
  const holder = spawn("unshare", ["-n", "sh", "-c", "echo ready; exec cat"], { stdio: ["pipe", "pipe", "pipe"] });
  const started = await Promise.race([
    once(holder.stdout, "data").then(() => true),
    once(holder, "exit").then(() => false),
  ]);
  if (!started) return `unshare -n: ${String(holder.stderr.read() ?? "failed").trim()}`;
  return { holder, fd: openSync(`/proc/${holder.pid}/ns/net`, "r") };
}

describe("arguments", () => {
  const addon = loadNative();
  it("throws a TypeError for the wrong type, and only then", () => {
    assert.throws(() => addon.openNetlink("route" as never, -1, 0), TypeError);
    assert.throws(() => addon.joinGroup(0 as never, undefined as never), TypeError);
    assert.throws(() => (addon.close as () => number)(), TypeError);
    assert.throws(() => addon.receive(0, new Uint8Array(8), new Int32Array(0), 0), TypeError);
    assert.throws(() => addon.send(0, [1] as never, 1), TypeError);
    assert.throws(() => addon.unwatch({} as never), TypeError);
    assert.throws(() => addon.watch(0, new Uint8Array(8), new Int32Array(1), null as never), TypeError);
  });
  it("returns -errno for what the kernel refuses", () => {
    assert.equal(addon.close(-1), -ERRNO.EBADF);
    assert.equal(addon.openNetlink(999, -1, 0), -ERRNO.EPROTONOSUPPORT);
    assert.equal(addon.openFile("/nonexistent", 0, -1), -ERRNO.ENOENT);
    assert.equal(
      addon.watch(999_999, new Uint8Array(8), new Int32Array(1), () => {}),
      -ERRNO.EBADF,
    );
  });
  it("refuses to send more than it was given", () => {
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 0);
    assert.equal(addon.send(fd, new Uint8Array(16), 17), -ERRNO.EINVAL);
    assert.equal(addon.send(fd, new Uint8Array(16), -1), -ERRNO.EINVAL);
    assert.equal(addon.close(fd), 0);
  });
});

describe("netlink in the own namespace", () => {
  const addon = loadNative();
  const slab = new Uint8Array(4 * 32_768);
  const lengths = new Int32Array(4);

  it("transacts a dump", () => {
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 0);
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, { index: 0 });
    const count = addon.transact(fd, request, request.length, slab, lengths, 1000);
    assert.ok(count >= 1);
    assert.ok(messageTypes(slab, lengths[0]!).includes(RTM_NEWLINK));
    addon.close(fd);
  });
  it("says the real size of a datagram that does not fit", () => {
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 0);
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST, { index: 1 });
    const count = addon.transact(fd, request, request.length, new Uint8Array(64), lengths.subarray(0, 1), 1000);
    assert.equal(count, 1);
    assert.ok(lengths[0]! > 64);
    addon.close(fd);
  });
  it("waits no longer than told", () => {
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 0);
    assert.equal(addon.receive(fd, slab, lengths, 0), -ERRNO.EAGAIN);
    assert.equal(addon.receive(fd, slab, lengths, 5), -ERRNO.EAGAIN);
    addon.close(fd);
  });
  it("grants a receive buffer", () => {
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 65_536);
    assert.equal(addon.setReceiveBuffer(fd, 32_768), 65_536);
    addon.close(fd);
  });
});

describe("another namespace", () => {
  let addon: NativeAddon;
  let namespace: { holder: ChildProcess; fd: number };
  let reason: string | undefined;
  const slab = new Uint8Array(16 * 8192);
  const lengths = new Int32Array(16);

  before(async () => {
    addon = loadNative();
    const made = await makeNamespace();
    if (typeof made === "string") {
      assert.ok(!process.env.EXPECT_KERNEL, made);
      reason = made;
    } else namespace = made;
  });
  after(() => {
    if (reason) return;
    namespace.holder.stdin?.end();
    closeSync(namespace.fd);
  });
  const inNamespace = (name: string, run: () => Promise<void> | void): void => {
    it(name, async (context) => (reason ? context.skip(reason) : run()));
  };
  const setLoopback = (fd: number, up: boolean): void => {
    const request = linkMessage(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, { index: 1, up });
    assert.equal(addon.transact(fd, request, request.length, new Uint8Array(4096), new Int32Array(1), 1000), 1);
  };

  inNamespace("opens a socket there and stays here", () => {
    const here = readlinkSync("/proc/thread-self/ns/net");
    const fd = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    assert.equal(readlinkSync("/proc/thread-self/ns/net"), here);
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, { index: 0 });
    assert.ok(addon.transact(fd, request, request.length, slab, lengths, 1000) >= 1);
    assert.deepEqual(messageTypes(slab, lengths[0]!), [RTM_NEWLINK], "a new namespace has one link, its loopback");
    addon.close(fd);
    assert.equal(addon.netnsInode(namespace.fd), fstatSync(namespace.fd).ino);
  });
  inNamespace("opens a file there", () => {
    const fd = addon.openFile("/proc/thread-self/net/dev", 0, namespace.fd);
    const lines = readFileSync(fd, "utf8").trim().split("\n");
    addon.close(fd);
    assert.equal(lines.length, 3, "two lines of heading, and lo");
  });
  inNamespace("is not deaf after an overrun", async () => {
    const events = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 4096);
    const commands = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    assert.equal(addon.joinGroup(events, RTNLGRP_LINK), 0);
    const seen: number[] = [];
    let wake = (): void => {};
    const handle = addon.watch(events, slab, lengths, (count) => {
      seen.push(count);
      wake();
    });
    assert.ok(typeof handle !== "number");
    addon.unref(handle); // a failing test must end all the same
    const keepAlive = setTimeout(() => {}, 10_000);
    const nextEvent = (): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve;
      });

    let event = nextEvent();
    setLoopback(commands, true);
    await event;
    assert.deepEqual(seen, [1]);

    event = nextEvent();
    for (let i = 0; i < 200; i++) setLoopback(commands, i % 2 === 1); // nobody reads meanwhile
    await event;
    while (!seen.includes(-ERRNO.ENOBUFS)) await nextEvent();
    await setImmediate(); // we came here from within the callback: let it finish its rounds
    assert.equal(addon.receive(events, slab, lengths, 0), -ERRNO.EAGAIN, "the rest was delivered in the same turn");
    assert.equal(seen.filter((count) => count === -ERRNO.ENOBUFS).length, 1);

    const before = seen.length;
    event = nextEvent();
    setLoopback(commands, false);
    await event;
    assert.deepEqual(seen.slice(before), [1]);

    clearTimeout(keepAlive);
    assert.equal(addon.unwatch(handle), 0);
    assert.equal(addon.unwatch(handle), 0);
    addon.close(events);
    addon.close(commands);
  });
  inNamespace("answers what is like a pattern by itself, and holds back what needs no answer", async () => {
    const events = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    const commands = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    const answers = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    addon.joinGroup(events, RTNLGRP_LINK);
    const seen: string[] = [];
    const pairs = new Int32Array(8);
    const handle = addon.watch(events, slab, lengths, (count, answered) => {
      const given = addon.answered(handle as never, pairs);
      seen.push(`${count} ${answered}${given > 0 ? `: ${pairs.slice(0, 2 * given).join()}` : ""}`);
    });
    assert.ok(typeof handle !== "number");
    addon.unref(handle);
    const told = async (count: number): Promise<void> => {
      for (let turn = 0; turn < 1000 && seen.length < count; turn++) await setImmediate();
      assert.equal(seen.length, count, seen.join("; "));
    };
    setLoopback(commands, true);
    await told(1);
    const sample = slab.slice(0, 24);
    // The type counts; the interface's index is copied into a request for that link.
    const mask = new Uint8Array(sample.length);
    mask.fill(0xff, 4, 6);
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST, { index: 99 });
    const copies = Int32Array.of(20, 20, 0);
    assert.equal(addon.prepare(handle, 3, answers, sample, mask, request, copies, 0), 0);
    setLoopback(commands, false);
    await told(2);
    assert.equal(seen[1], "1 1: 0,3");
    const link = new Uint8Array(8192);
    assert.equal(addon.receive(answers, link, new Int32Array(1), 1000), 1);
    assert.equal(new DataView(link.buffer).getInt32(20, true), 1, "the loopback's");

    addon.withdraw(handle, 3);
    setLoopback(commands, true);
    await told(3);
    assert.equal(seen[2], "1 0");
    assert.equal(addon.receive(answers, link, new Int32Array(1), 0), -ERRNO.EAGAIN);

    assert.equal(addon.prepare(handle, 0, answers, sample, mask, new Uint8Array(0), copies, 0), 0);
    setLoopback(commands, false);
    setLoopback(commands, true);
    for (let turn = 0; turn < 100; turn++) await setImmediate();
    assert.equal(seen.length, 3, "held back");
    addon.release(handle);
    assert.equal(seen[3], "2 0");
    addon.release(handle);
    assert.equal(seen.length, 4, "nothing is left");

    for (const [slot, text, at] of [
      [80, request, 20],
      [-1, request, 20],
      [0, request, 30],
      [0, new Uint8Array(2000), 20],
    ] as const) {
      assert.equal(
        addon.prepare(handle, slot, answers, sample, mask, text, Int32Array.of(20, at, 0), 0),
        -ERRNO.EINVAL,
      );
    }
    addon.unwatch(handle);
    for (const fd of [events, commands, answers]) addon.close(fd);
  });
  inNamespace("accepts MPTCP connections and resets them", () => {
    const commands = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    setLoopback(commands, true);
    addon.close(commands);
    const listener = addon.mptcpSocket(2, namespace.fd);
    assert.ok(listener > 0, `an MPTCP socket: ${listener}`);
    const loopback = Uint8Array.of(127, 0, 0, 1);
    assert.equal(addon.bind(listener, loopback, 4711, 0), 0);
    assert.equal(addon.listen(listener, 8), 0);
    assert.equal(addon.acceptAndClose(listener), 0);
    const client = addon.mptcpSocket(2, namespace.fd);
    assert.equal(addon.connect(client, loopback, 4711), 0);
    assert.equal(addon.acceptAndClose(listener), 1);
    assert.equal(addon.receive(client, slab, lengths, 1000), -ERRNO.ECONNRESET);
    const type = new Uint8Array(4);
    assert.equal(addon.getsockopt(client, 1, 38 /* SO_PROTOCOL */, type), 4);
    assert.equal(new DataView(type.buffer).getInt32(0, true), 262);
    addon.close(client);
    addon.close(listener);
  });
});

describe("Unix sockets and capabilities", () => {
  const addon = loadNative();
  it("knows the peer of a connection", async () => {
    const path = join(tmpdir(), `subflow-native-${process.pid}.sock`);
    const server = createServer();
    server.listen(path);
    await once(server, "listening");
    const child = spawn(process.execPath, ["-e", `require("net").connect(${JSON.stringify(path)})`]);
    const [socket] = (await once(server, "connection")) as [{ _handle: { fd: number }; destroy(): void }];
    const peer = addon.peerCredentials(socket._handle.fd);
    assert.ok(typeof peer !== "number");
    assert.deepEqual(peer, { pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    socket.destroy();
    child.kill();
    server.close();
  });
  it("reports where a datagram cannot go", () => {
    assert.equal(addon.sendUnixDatagram(`@subflow-${process.pid}`, Uint8Array.of(1)), -ERRNO.ECONNREFUSED);
    assert.equal(addon.sendUnixDatagram("/nonexistent/socket", Uint8Array.of(1)), -ERRNO.ENOENT);
  });
  it("reads what /proc says of the capabilities", () => {
    const status = readFileSync("/proc/thread-self/status", "utf8");
    const expected = Number.parseInt(/CapEff:\s*([0-9a-f]+)/.exec(status)![1]!, 16);
    const caps = addon.getCapabilities();
    assert.ok(typeof caps !== "number");
    assert.equal(caps.effectiveHigh * 2 ** 32 + caps.effectiveLow, expected);
  });
  it("drops capabilities for good", async () => {
    const script = `
      import { loadNative } from ${JSON.stringify(new URL("./native.js", import.meta.url).href)};
      const addon = loadNative();
      if (addon.dropCapabilities(1 << 12, 0) !== 0) throw new Error("refused");
      const caps = addon.getCapabilities();
      console.log(caps.effectiveLow & ~(1 << 12), caps.permittedLow & ~(1 << 12), caps.effectiveHigh);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(output.toString(), "0 0 0\n");
  });
});
