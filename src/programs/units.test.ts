import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { conforms } from "../../test/fixtures/schemas.ts";
import { disableUnit, enabledUnits, enableUnit, type Systemd, UnitError, unitName } from "./units.ts";

const folder = mkdtempSync(join(tmpdir(), "subflow-units-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

/** A systemd that knows one unit by its properties. */
function systemd(properties: Record<string, string>, version = 257): Systemd & { readonly said: string[] } {
  const directory = join(folder, `${++count}`);
  mkdirSync(directory);
  const said: string[] = [];
  const known: Record<string, string> = {
    LoadState: "loaded",
    ActiveState: "inactive",
    ProtectHome: "no",
    ...properties,
  };
  const systemctl = (...words: string[]): string => {
    said.push(words.join(" "));
    if (words[0] === "--version") return `systemd ${version} (${version}-1)\n+PAM\n`;
    return words[0] === "show" ? `${known[words[2]!] ?? ""}\n` : "";
  };
  return { directory, systemctl, said };
}

const execStart = (path: string): string =>
  `{ path=${path} ; argv[]=${path} -g x ; ignore_errors=no ; start_time=[n/a] }`;
const NODE = execStart(process.execPath);
const dropIn = ({ directory }: Systemd, unit: string): string =>
  readFileSync(join(directory, `${unit}.d`, "subflow-mptcp.conf"), "utf8");

test("names of units", () => {
  assert.equal(unitName("nginx"), "nginx.service");
  assert.equal(unitName("web@1.service"), "web@1.service");
  assert.equal(unitName("ssh.socket"), "ssh.socket");
  for (const word of ["", "../x", "a/b.service", "x.timer", "a b", "-n", "x\n.service"])
    assert.throws(() => unitName(word), UnitError, word);
});

test("a service gets the library and what Go obeys, beside what it set itself, and systemd reads it", () => {
  const host = systemd({ ExecStart: NODE, Environment: `LANG=C "LD_PRELOAD=/lib/other.so" GODEBUG=netdns=go` });
  assert.deepEqual(enableUnit(host, "web.service"), []);
  const text = dropIn(host, "web.service");
  assert.match(
    text,
    /^# Made by `subflow enable`.*\n\[Service\]\nEnvironment="LD_PRELOAD=\/lib\/other\.so:\/.*\/mptcp-socket\.so"\n/,
  );
  assert.match(text, /^Environment="GODEBUG=netdns=go,multipathtcp=1"$/m);
  assert.equal(host.said.at(-1), "daemon-reload");
  const [enabled] = enabledUnits(host);
  conforms("enabled", JSON.stringify(enabledUnits(host)));
  assert.deepEqual(enabled, { unit: "web.service", how: "library", state: "inactive" });
});

test("twice is as good as once; disabling leaves nothing, but what others put there", () => {
  const host = systemd({ ExecStart: NODE });
  enableUnit(host, "web.service");
  const once = dropIn(host, "web.service");
  enableUnit(host, "web.service");
  assert.equal(dropIn(host, "web.service"), once);
  assert.ok(disableUnit(host, "web.service"));
  assert.equal(existsSync(join(host.directory, "web.service.d")), false);
  assert.equal(disableUnit(host, "web.service"), false);
  enableUnit(host, "web.service");
  writeFileSync(join(host.directory, "web.service.d", "other.conf"), "[Service]\n");
  assert.ok(disableUnit(host, "web.service"));
  assert.ok(existsSync(join(host.directory, "web.service.d", "other.conf")));
  assert.deepEqual(enabledUnits(host), []);
});

test("a socket is systemd's, from the version on that can", () => {
  const host = systemd({});
  enableUnit(host, "web.socket");
  assert.match(dropIn(host, "web.socket"), /\[Socket\]\nSocketProtocol=mptcp\n$/);
  assert.deepEqual(enabledUnits(host), [{ unit: "web.socket", how: "socket", state: "inactive" }]);
  assert.throws(() => enableUnit(systemd({}, 252), "web.socket"), /systemd 252 knows no MPTCP \(257 does\)/);
});

test("what would do nothing is refused, and nothing is written", () => {
  const script = join(folder, "static");
  // An ELF header without any program header: static.
  const elf = Buffer.alloc(64);
  elf.write("\u007fELF\u0002\u0001", "latin1");
  writeFileSync(script, elf);
  for (const [properties, says] of [
    [{ LoadState: "not-found" }, /there is no unit web\.service \(not-found\)/],
    [{ LoadState: "masked" }, /masked/],
    [{ ExecStart: execStart(script) }, /nothing would come of it: .*static is statically linked/],
  ] as const) {
    const host = systemd(properties);
    assert.throws(() => enableUnit(host, "web.service"), says);
    assert.equal(existsSync(join(host.directory, "web.service.d")), false);
  }
});

test("a unit that may not see the library is told of; one whose library is gone is broken; one that was not started anew is pending", () => {
  assert.match(
    enableUnit(systemd({ ExecStart: NODE, RootDirectory: "/srv/web" }), "web.service")[0] ?? "",
    /root directory of its own/,
  );
  const host = systemd({ ExecStart: NODE, ActiveState: "active", MainPID: `${process.pid}` });
  enableUnit(host, "web.service");
  assert.equal(enabledUnits(host)[0]?.state, "pending");
  const file = join(host.directory, "web.service.d", "subflow-mptcp.conf");
  writeFileSync(file, readFileSync(file, "utf8").replace("/mptcp-socket.so", "/gone.so"));
  assert.equal(enabledUnits(host)[0]?.state, "broken");
});
