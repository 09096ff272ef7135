import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { StreamKind, StreamSocket } from "../netlink/index.ts";
import type { Address, TcpState } from "../types/index.ts";
import { useOf } from "./apps.ts";
import { processesWith, unitOf } from "./processes.ts";

function socket(kind: StreamKind, remote: string, state: TcpState = "established", port = 443): StreamSocket {
  const path = {
    local: { address: (state === "listening" ? remote : "10.0.0.1") as Address, port },
    remote: { address: remote as Address, port: 1 },
  };
  return { kind, state, path, inode: 1, uid: 0 };
}

test("sockets are counted by what became of them; the loopback apart", () => {
  const use = useOf([
    socket("mptcp", "10.0.0.2"),
    socket("tcp", "10.0.0.2"),
    socket("tcp", "2001:db8::1"),
    socket("not-asked", "10.0.0.2"),
    socket("not-asked", "10.0.0.3"),
    socket("broken", "10.0.0.2"),
    socket("tcp", "127.0.0.1"),
    socket("mptcp", "::1"),
    socket("tcp", "::ffff:127.0.0.1" as string),
    socket("mptcp", "::", "listening", 443),
    socket("mptcp", "0.0.0.0", "listening", 80),
    socket("mptcp", "::", "listening", 80),
    socket("tcp", "127.0.0.1", "listening", 25),
    socket("tcp", "0.0.0.0", "listening", 22),
  ]);
  assert.deepEqual(use, {
    mptcp: 1,
    tcp: 2,
    fellBack: [
      { reason: "broken", count: 1 },
      { reason: "not-asked", count: 2 },
    ],
    loopback: 4,
    listens: { mptcp: [80, 443], tcp: [22] },
  });
});

test("the service of a process is the innermost one of the system's", () => {
  for (const [cgroup, unit] of [
    ["0::/system.slice/nginx.service\n", "nginx.service"],
    ["0::/system.slice/system-web.slice/web@1.service/worker\n", "web@1.service"],
    ["1:name=systemd:/x.service\n0::/user.slice/user-1000.slice/session-1.scope\n", undefined],
    ["0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", undefined],
    ["0::/\n", undefined],
    ["", undefined],
  ] as const) {
    assert.equal(unitOf(cgroup), unit, cgroup);
  }
});

test("processes are found by what they hold; who is gone or hidden is none", (context) => {
  const proc = mkdtempSync(join(tmpdir(), "subflow-proc-"));
  context.after(() => rmSync(proc, { recursive: true }));
  const put = (pid: number, descriptors: readonly string[], comm: string | undefined): void => {
    mkdirSync(join(proc, `${pid}`, "fd"), { recursive: true });
    descriptors.forEach((target, fd) => {
      symlinkSync(target, join(proc, `${pid}`, "fd", `${fd}`));
    });
    if (comm === undefined) return; // it ends right now
    writeFileSync(join(proc, `${pid}`, "comm"), `${comm}\n`);
    writeFileSync(join(proc, `${pid}`, "cgroup"), "0::/system.slice/web.service\n");
    symlinkSync(process.execPath, join(proc, `${pid}`, "exe"));
  };
  put(20, ["/dev/null", "socket:[7]", "socket:[8]"], "web");
  put(3, ["socket:[7]"], "(odd) name");
  put(5, ["socket:[99]", "pipe:[7]"], "other");
  put(6, ["socket:[7]"], undefined);
  mkdirSync(join(proc, "7"));
  mkdirSync(join(proc, "sys"));
  const { found, hidden } = processesWith(new Set([7, 8]), proc);
  assert.equal(hidden, 0);
  assert.deepEqual(
    found.map(({ pid, name, unit, obstacle, sockets }) => [pid, name, unit, obstacle, [...sockets]]),
    [
      [3, "(odd) name", "web.service", undefined, [7]],
      [20, "web", "web.service", undefined, [7, 8]],
    ],
  );
});
