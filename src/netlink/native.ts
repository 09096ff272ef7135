import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SubflowError } from "../types/index.ts";

/** A file descriptor. */
export type Fd = number;

/** What {@link NativeAddon.watch} returns; opaque. */
export interface WatchHandle {
  readonly __brand: "WatchHandle";
}

/** Who is at the other end of a Unix socket (SO_PEERCRED of unix(7)). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Capability sets of the calling thread, 32 bits a word (capabilities(7)). */
export interface Capabilities {
  readonly effectiveLow: number;
  readonly effectiveHigh: number;
  readonly permittedLow: number;
  readonly permittedHigh: number;
}

/**
 * The verbs of native/: thin over system calls, without any knowledge of protocols. Each returns a value >= 0 or -errno;
 * a TypeError is thrown only for arguments of the wrong type. `netnsFd` is an open network namespace, or -1 for the own one;
 * a verb that takes it leaves the thread where it was.
 */
export interface NativeAddon {
  /** A bound, non-blocking netlink socket with extended ACKs, capped ACKs and strict checks on; 0 keeps the buffer. */
  openNetlink(protocol: number, netnsFd: Fd, receiveBufferBytes: number): Fd;
  /** NETLINK_ADD_MEMBERSHIP. */
  joinGroup(fd: Fd, group: number): number;
  /** SO_RCVBUFFORCE, else SO_RCVBUF: the size that the kernel granted (twice what was asked, socket(7)). */
  setReceiveBuffer(fd: Fd, bytes: number): number;
  /** Sends one datagram, which may hold several netlink messages: the number of bytes sent. */
  send(fd: Fd, bytes: Uint8Array, length: number): number;
  /**
   * Receives up to `lengths.length` datagrams (at most 64), one per slot of `slab.length / lengths.length` bytes: how many.
   * `lengths[i]` is the real size: more than a slot means that the rest is lost. -EAGAIN: none within `timeoutMs`
   * (0: do not wait); -ENOBUFS: the kernel dropped some before the ones that come next.
   */
  receive(fd: Fd, slab: Uint8Array, lengths: Int32Array, timeoutMs: number): number;
  /** {@link send}, then {@link receive}, in one crossing: the kernel answers most netlink requests inside send. */
  transact(
    fd: Fd,
    request: Uint8Array,
    requestLength: number,
    slab: Uint8Array,
    lengths: Int32Array,
    timeoutMs: number,
  ): number;
  /**
   * Watches a socket with a thread of its own, which receives, answers what an answer is {@link prepare}d for, and hands both over:
   * the callback hears of records (native/records.h) from one byte of `slab` to another, in the order in which things happened.
   * `slab`: at least {@link SLAB_BYTES_MIN}, its own from now on; with less than half of it free the thread stops receiving. `spin`,
   * 0 or 1: the thread never sleeps. The handle keeps the loop alive until {@link unwatch} or {@link unref}. Call unwatch before
   * {@link close}. -errno in place of a handle when it cannot be watched: EAGAIN where no more threads are allowed.
   */
  watch(fd: Fd, slab: Uint8Array, callback: (from: number, to: number) => void, spin: number): WatchHandle | number;
  /**
   * From now on, a datagram that begins like the pattern, in the bits of the mask, is answered on `fd`, unless a later datagram that
   * was received with it has the same first copied word. `copies`: triples of a byte offset in the datagram, one in the answer, and a
   * {@link COPY}; one number: none. With an empty answer the callback hears of such a datagram together with the next other one, or
   * at {@link release}. Of several slots the first decides. `id` stands in the records. `flags`: {@link ANSWER}. Slots 0..159; a slot
   * is overwritten. -EINVAL: does not fit.
   */
  prepare(
    handle: WatchHandle,
    slot: number,
    fd: Fd,
    pattern: Uint8Array,
    mask: Uint8Array,
    answer: Uint8Array,
    copies: Int32Array,
    id: number,
    flags: number,
  ): number;
  /**
   * Forgets the prepared answer of a slot; -1: every one. When this returns, none of it goes out any more, and what went out is
   * among what the next callback hears of.
   */
  withdraw(handle: WatchHandle, slot: number): number;
  /** Calls back now with what is there, also what is held back; inside the callback it does nothing. */
  release(handle: WatchHandle): number;
  /** Stops a watch; a second time does nothing. When this returns, its thread has ended. */
  unwatch(handle: WatchHandle): number;
  /** Lets the handle keep the event loop alive (the default). */
  ref(handle: WatchHandle): number;
  /** Lets the process end in spite of the handle. */
  unref(handle: WatchHandle): number;
  /** close(2). */
  close(fd: Fd): number;
  /** open(2) with O_CLOEXEC inside the namespace; in a worker thread say /proc/thread-self/net, not /proc/net. */
  openFile(path: string, flags: number, netnsFd: Fd): Fd;
  /** A fresh network namespace that lives as long as this descriptor; the thread stays where it is. Needs CAP_SYS_ADMIN. */
  newNamespace(): Fd;
  /** flock(2) LOCK_EX | LOCK_NB: -EAGAIN while another process holds it; given back when the process ends. */
  lockFile(fd: Fd): number;
  /** The inode number by which a network namespace is known (of any open file, really). */
  netnsInode(fd: Fd): number;
  /** A non-blocking IPPROTO_MPTCP stream socket; `new net.Socket({ fd })` and `server.listen({ fd })` take it over. */
  mptcpSocket(family: number, netnsFd: Fd): Fd;
  /** Binds to 4 or 16 address bytes; `interfaceIndex` is the scope of an IPv6 link-local address, else 0. */
  bind(fd: Fd, addressBytes: Uint8Array, port: number, interfaceIndex: number): number;
  /** listen(2). */
  listen(fd: Fd, backlog: number): number;
  /** Starts to connect; 0 also when it is still in progress. */
  connect(fd: Fd, addressBytes: Uint8Array, port: number): number;
  /** One connection, non-blocking, or -EAGAIN. */
  accept(fd: Fd): Fd;
  /** Accepts what waits (at most 64) and resets each at once: how many. */
  acceptAndClose(fd: Fd): number;
  /** Fills `bytes`: how many of them the kernel wrote. */
  getsockopt(fd: Fd, level: number, name: number, bytes: Uint8Array): number;
  /** setsockopt(2). */
  setsockopt(fd: Fd, level: number, name: number, bytes: Uint8Array): number;
  /** SO_PEERCRED of a connected Unix socket. */
  peerCredentials(fd: Fd): PeerCredentials | number;
  /** One datagram to a Unix socket, as sd_notify(3) needs; a leading `@` means the abstract namespace. Never waits. */
  sendUnixDatagram(path: string, bytes: Uint8Array): number;
  /**
   * Keeps only these capabilities, in every set, for good (also PR_SET_NO_NEW_PRIVS). The process's other threads (V8's,
   * libuv's pool) give up all, unless they have none but these. -EBUSY: a thread did not, for two seconds.
   */
  dropCapabilities(keepLow: number, keepHigh: number): number;
  /** Capability sets of the calling thread. */
  getCapabilities(): Capabilities | number;
  /**
   * madvise(MADV_DONTNEED): the pages are read again from their file when they are needed. For clean pages of files only:
   * anything that was written there is lost. Use {@link releaseCleanPages}.
   */
  forgetPages(start: number, length: number): number;
  /** Moves the calling thread into the namespace, for good. */
  enterNamespace(netnsFd: Fd): number;
  /**
   * bpf(2): 0, a descriptor, or -errno. Fields of `attributes` that point somewhere (their places in `fields`; -1 alone: there are
   * none) hold an offset into `block` instead.
   */
  bpf(command: number, attributes: Uint8Array, fields: Int32Array, block: Uint8Array): number;
  /**
   * execve(2): this process becomes another program, and the call returns only when it failed. Texts that each end with a zero
   * byte; `room`: 8 bytes for each of them and 16 more. `kept`: the descriptors it gets (Node has marked all as its own).
   * Signals are as a program expects them, and the soft limit of open files, which Node raises, is `openFilesMax` (-1: stays).
   */
  become(
    path: string,
    words: Uint8Array,
    environment: Uint8Array,
    room: Uint8Array,
    kept: Int32Array,
    openFilesMax: number,
  ): number;
}

/** Bytes that {@link NativeAddon.watch} needs (ROOM_MIN of native/answerer.h). */
export const SLAB_BYTES_MIN = 2 * (16 * (8192 + 16) + 48 * 1024);

/** Kinds of records (native/records.h), each with a header of 16 bytes: length, kind, number, back. */
export const RECORD = { DATAGRAM: 0, ANSWER: 1, REPLY: 2, OVERRUN: 3, ERROR: 4, HEADER: 16 } as const;

/** What a copy of {@link NativeAddon.prepare} does: 4 bytes as they are, 2 in the other order, or a number of its own each time. */
export const COPY = { WORD: 0, SWAPPED: 1, RUNNING_NUMBER: 2 } as const;

/** Flags of {@link NativeAddon.prepare}: forgotten when it was given. */
export const ANSWER = { ONCE: 1 } as const;

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at the first call. Throws a {@link SubflowError} with code NATIVE_MISSING where there is none for this
 * machine: everything that needs no kernel works without it.
 */
export function loadNative(): NativeAddon {
  loaded ??= load();
  return loaded;
}

/**
 * Puts another addon in the place of the real one until it is disposed: a double where there is no kernel to talk to, or the
 * real one with faults in it. Sockets that are open keep the one that they were opened with.
 */
export function substituteNative(addon: NativeAddon): Disposable {
  const before = loaded;
  loaded = addon;
  return {
    [Symbol.dispose]: () => {
      loaded = before;
    },
  };
}

const ADDON = join("prebuilds", `linux-${process.arch}`, "subflow.node");

/** Where the addon of this machine is, and what else was built for it; undefined: nowhere. */
export function nativeFolder(): string | undefined {
  const file = findUpwards(ownDirectory(), ADDON);
  return file === undefined ? undefined : dirname(file);
}

function load(): NativeAddon {
  const name = ADDON;
  // The poll handles of libuv keep their ABI within a major version only, and other runtimes lack them.
  if (process.platform !== "linux" || !process.versions.uv?.startsWith("1.")) {
    throw missing(
      name,
      `it needs Node.js on Linux with libuv 1, this is ${process.platform}, libuv ${process.versions.uv}`,
    );
  }
  const file = findUpwards(ownDirectory(), name);
  if (!file) throw missing(name, "the file does not exist");
  const module = { exports: {} as NativeAddon };
  try {
    process.dlopen(module, file);
  } catch (cause) {
    throw missing(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
  return module.exports;
}

/** The directory of this file, as an ES module or inside a CommonJS bundle (where import.meta.url may be undefined). */
function ownDirectory(): string {
  const url: string | undefined = import.meta.url;
  if (url) return dirname(url.startsWith("file:") ? fileURLToPath(url) : url);
  return __dirname;
}

function findUpwards(start: string, name: string): string | undefined {
  for (let directory = start; ; directory = dirname(directory)) {
    const file = join(directory, name);
    if (existsSync(file)) return file;
    if (directory === dirname(directory)) return undefined;
  }
}

function missing(name: string, reason: string, cause?: unknown): SubflowError {
  return new SubflowError(
    `the native addon ${name} cannot be loaded: ${reason}. Without it nothing can talk to the kernel. ` +
      "Build it in the package's directory with `npm run build:native` (needs gcc and the development dependencies)",
    { code: "NATIVE_MISSING", cause },
  );
}
