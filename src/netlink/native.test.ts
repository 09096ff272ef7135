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
import { ANSWER, COPY, loadNative, type NativeAddon, RECORD, SLAB_BYTES_MIN } from "./native.ts";

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
/** For what another thread does in its own time. Milliseconds. */
const DEADLINE = 10_000;

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

interface Watched {
  /** Each call back: what it told of, as [kind, number]. */
  readonly seen: [kind: number, number: number][][];
  /** The bytes of the last record of a kind. */
  readonly last: Map<number, Uint8Array>;
}

/** Reads the records of native/records.h. */
function reader(slab: Uint8Array): Watched & { readonly read: (from: number, to: number) => void } {
  const seen: Watched["seen"] = [];
  const last: Watched["last"] = new Map();
  const view = new DataView(slab.buffer);
  const read = (from: number, to: number): void => {
    const batch: Watched["seen"][number] = [];
    for (let at = from; at < to; ) {
      const [length, kind, number] = [0, 4, 8].map((field) => view.getUint32(at + field, true)) as [
        number,
        number,
        number,
      ];
      last.set(kind, slab.slice(at + RECORD.HEADER, at + RECORD.HEADER + length));
      batch.push([kind, number]);
      at += RECORD.HEADER + ((length + 7) & ~7);
    }
    seen.push(batch);
  };
  return { seen, last, read };
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
    assert.throws(() => addon.watch(0, new Uint8Array(8), null as never, 0), TypeError);
    assert.throws(() => addon.bpf(0, [] as never, Int32Array.of(-1), new Uint8Array(0)), TypeError);
    assert.throws(
      () => addon.become("x", new Uint8Array(1), new Uint8Array(0), new Uint8Array(16), [] as never, -1),
      TypeError,
    );
  });
  it("returns -errno for what the kernel refuses", () => {
    assert.equal(addon.close(-1), -ERRNO.EBADF);
    assert.equal(addon.openNetlink(999, -1, 0), -ERRNO.EPROTONOSUPPORT);
    assert.equal(addon.openFile("/nonexistent", 0, -1), -ERRNO.ENOENT);
    assert.equal(
      addon.watch(999_999, new Uint8Array(SLAB_BYTES_MIN), () => {}, 0),
      -ERRNO.EBADF,
    );
    const fd = addon.openNetlink(NETLINK_ROUTE, -1, 0);
    assert.equal(
      addon.watch(fd, new Uint8Array(SLAB_BYTES_MIN - 1), () => {}, 0),
      -ERRNO.EINVAL,
    );
    addon.close(fd);
  });
  it("refuses what lies outside of what it was given", () => {
    const nothing = new Uint8Array(0);
    assert.equal(addon.bpf(5, new Uint8Array(8), Int32Array.of(1), nothing), -ERRNO.EINVAL, "a field at the end");
    assert.equal(
      addon.bpf(5, new Uint8Array(8).fill(9), Int32Array.of(0), nothing),
      -ERRNO.EINVAL,
      "an offset too large",
    );
    const [words, room, kept] = [Buffer.from("x\0"), new Uint8Array(24), Int32Array.of(0)];
    assert.equal(addon.become("/nonexistent", words, nothing, room, kept, -1), -ERRNO.ENOENT);
    assert.equal(
      addon.become("/nonexistent", words, nothing, room.subarray(0, 16), kept, -1),
      -ERRNO.EINVAL,
      "no room",
    );
    assert.equal(
      addon.become("/nonexistent", words, nothing, room.subarray(0, 23), kept, -1),
      -ERRNO.EINVAL,
      "room for half of the last one",
    );
    assert.equal(
      addon.become("/nonexistent", Buffer.from("x"), nothing, room, kept, -1),
      -ERRNO.EINVAL,
      "without its end",
    );
    assert.equal(
      addon.become("/nonexistent", words, nothing, room.subarray(1), kept, -1),
      -ERRNO.EINVAL,
      "not aligned",
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
  inNamespace("is not deaf after an overrun, and tells of it in its place", async () => {
    // So small that the thread, which reads at once, is overrun by a batch that the kernel sends in one go.
    const events = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 4096);
    const commands = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    assert.equal(addon.joinGroup(events, RTNLGRP_LINK), 0);
    const room = new Uint8Array(SLAB_BYTES_MIN);
    const { seen, read } = reader(room);
    const handle = addon.watch(events, room, read, 0);
    assert.ok(typeof handle !== "number");
    addon.unref(handle); // a failing test must end all the same
    const all = (): [number, number][] => seen.flat();
    const until = async (isDone: () => boolean, what: string): Promise<void> => {
      const deadline = performance.now() + 10_000;
      while (!isDone()) {
        assert.ok(performance.now() < deadline, `${what}: ${JSON.stringify(all())}`);
        await setImmediate();
      }
    };
    setLoopback(commands, true);
    await until(() => all().length === 1, "the first event");
    assert.equal(all()[0]?.[0], RECORD.DATAGRAM);

    const many = new Uint8Array(32 * 200);
    for (let i = 0; i < 200; i++)
      many.set(linkMessage(RTM_NEWLINK, NLM_F_REQUEST, { index: 1, up: i % 2 === 1 }), 32 * i);
    const overruns = (): number => all().filter(([kind]) => kind === RECORD.OVERRUN).length;
    for (let tries = 0; tries < 100 && overruns() === 0; tries++) {
      assert.equal(addon.send(commands, many, many.length), many.length);
      await setImmediate();
    }
    await until(() => overruns() > 0, "an overrun");
    await until(() => addon.receive(events, slab, lengths, 0) === -ERRNO.EAGAIN, "the rest");

    const before = all().length;
    setLoopback(commands, false);
    await until(() => all().length > before && all().at(-1)?.[0] === RECORD.DATAGRAM, "an event after the overrun");
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
    const room = new Uint8Array(SLAB_BYTES_MIN);
    const { seen, last, read } = reader(room);
    const handle = addon.watch(events, room, read, 0);
    assert.ok(typeof handle !== "number");
    addon.unref(handle);
    const told = async (count: number): Promise<[number, number][] | undefined> => {
      const deadline = performance.now() + 10_000;
      while (seen.length < count && performance.now() < deadline) await setImmediate();
      assert.equal(seen.length, count, JSON.stringify(seen));
      return seen.at(-1)?.map(([kind, number]) => [kind, kind === RECORD.DATAGRAM ? 0 : number]);
    };
    const ONE = [RECORD.DATAGRAM, 0];
    setLoopback(commands, true);
    assert.deepEqual(await told(1), [ONE]);
    const sample = last.get(RECORD.DATAGRAM)!.slice(0, 24);
    // The type counts; the interface's index is copied into a request for that link, and each request has a number of its own.
    const mask = new Uint8Array(sample.length);
    mask.fill(0xff, 4, 6);
    // The link itself is more than a reply may be; the acknowledgement behind it is not.
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, { index: 99 });
    const copies = Int32Array.of(20, 20, COPY.WORD, 0, 8, COPY.RUNNING_NUMBER);
    assert.equal(addon.prepare(handle, 3, answers, sample, mask, request, copies, 33, 0), 0);
    for (const nth of [1, 2]) {
      setLoopback(commands, nth === 2);
      assert.deepEqual(await told(1 + nth), [ONE, [RECORD.ANSWER, 33], [RECORD.REPLY, 33]]);
      for (const kind of [RECORD.ANSWER, RECORD.REPLY]) {
        const view = new DataView(last.get(kind)!.buffer);
        assert.equal(view.getUint32(8, true), nth, "the running number");
        if (kind === RECORD.ANSWER) assert.equal(view.getInt32(20, true), 1, "the loopback's");
      }
    }
    assert.equal(addon.receive(answers, new Uint8Array(8192), new Int32Array(1), 0), -ERRNO.EAGAIN, "nothing piles up");

    // The first slot that fits decides, here the next time only.
    assert.equal(addon.prepare(handle, 2, answers, sample, mask, request, copies, 22, ANSWER.ONCE), 0);
    const kinds = (list: [number, number][] | undefined): string =>
      (list ?? []).flatMap(([kind, number]) => (kind === RECORD.ANSWER ? [number] : [])).join();
    setLoopback(commands, false);
    assert.equal(kinds(await told(4)), "22");
    setLoopback(commands, true);
    assert.equal(kinds(await told(5)), "33");

    addon.withdraw(handle, -1);
    setLoopback(commands, false);
    assert.deepEqual(await told(6), [ONE]);

    assert.equal(addon.prepare(handle, 0, answers, sample, mask, new Uint8Array(0), copies, 0, 0), 0);
    setLoopback(commands, true);
    setLoopback(commands, false);
    for (let turn = 0; turn < 100; turn++) await setImmediate();
    assert.equal(seen.length, 6, "held back");
    // The thread has received both when its socket is empty and its stage is handed over.
    const held = (): number => seen.slice(6).flat().length;
    // When that is, is the scheduler's to say.
    for (const end = performance.now() + DEADLINE; held() < 2 && performance.now() < end; await setImmediate())
      addon.release(handle);
    assert.equal(held(), 2);
    const before = seen.length;
    addon.release(handle);
    assert.equal(seen.length, before, "nothing is left");

    for (const [slot, text, at, kind] of [
      [160, request, 20, 0],
      [-1, request, 20, 0],
      [0, request, 30, 0],
      [0, request, 20, 3],
      [0, new Uint8Array(2000), 20, 0],
    ] as const) {
      const wrong = Int32Array.of(20, at, kind);
      assert.equal(addon.prepare(handle, slot, answers, sample, mask, text, wrong, 1, 0), -ERRNO.EINVAL);
    }
    addon.unwatch(handle);
    assert.equal(addon.prepare(handle, 0, answers, sample, mask, request, copies, 1, 0), -ERRNO.EINVAL, "it is over");
    for (const fd of [events, commands, answers]) addon.close(fd);
  });
  inNamespace("sends nothing more of what is withdrawn, and has told of all that it sent", async () => {
    const events = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 1 << 20);
    const commands = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
    addon.joinGroup(events, RTNLGRP_LINK);
    const room = new Uint8Array(SLAB_BYTES_MIN);
    const { seen, read } = reader(room);
    const handle = addon.watch(events, room, read, 0);
    assert.ok(typeof handle !== "number");
    addon.unref(handle);
    const sample = linkMessage(RTM_NEWLINK, 0, { index: 1 }).slice(0, 24);
    const mask = new Uint8Array(sample.length);
    mask.fill(0xff, 4, 6);
    const request = linkMessage(RTM_GETLINK, NLM_F_REQUEST, { index: 1 });
    const copies = Int32Array.of(0, 8, COPY.RUNNING_NUMBER);
    const told = (id: number): number =>
      seen.flat().filter(([kind, number]) => kind === RECORD.ANSWER && number === id).length;
    setLoopback(commands, false);
    let rounds = 0;
    for (; rounds < 300; rounds++) {
      // A descriptor that is closed right after: an answer that went out later would meet another file, or none.
      const answers = addon.openNetlink(NETLINK_ROUTE, namespace.fd, 0);
      addon.prepare(handle, 0, answers, sample, mask, request, copies, rounds, 0);
      setLoopback(commands, true);
      // The thread takes some 50 us to wake: withdrawn before, while and after it answers.
      const until = performance.now() + (rounds % 30) * 0.005;
      while (performance.now() < until);
      // Where processors are short all of those may be before: some rounds wait for the answer.
      const deadline = performance.now() + DEADLINE;
      while (rounds % 30 === 29 && told(rounds) === 0 && performance.now() < deadline) addon.release(handle);
      addon.withdraw(handle, 0);
      assert.equal(addon.close(answers), 0);
      addon.release(handle);
      const then = told(rounds);
      setLoopback(commands, false);
      addon.release(handle);
      assert.equal(told(rounds), then, "nothing of it afterwards");
      assert.ok(then > 0 || rounds % 30 !== 29, "in time");
      if (rounds % 50 === 0) await setImmediate();
    }
    addon.unwatch(handle);
    for (const fd of [events, commands]) addon.close(fd);
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
