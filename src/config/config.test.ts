import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { policies } from "../policies/index.ts";
import { ENDPOINT_FLAG, type Endpoint, parseAddress } from "../types/index.ts";
import {
  type ChoiceFacts,
  ConfigError,
  choosePathManager,
  choosePolicy,
  delayOf,
  editDistance,
  hostConfig,
  loadConfig,
  nearest,
  type PathManager,
  POLICIES,
} from "./index.ts";
import { currentReader, distrust } from "./trust.ts";

const directory = mkdtempSync(join(tmpdir(), "subflow-config-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** A host that nobody has set up for MPTCP. */
const BARE: ChoiceFacts = { current: "kernel", endpoints: [], isOurs: () => false };

function load(text: string, dropIns: Record<string, string> = {}) {
  const base = mkdtempSync(join(directory, "case-"));
  const file = join(base, "subflow.yaml");
  writeFileSync(file, text);
  if (Object.keys(dropIns).length > 0) mkdirSync(join(base, "conf.d"));
  for (const [name, content] of Object.entries(dropIns)) writeFileSync(join(base, "conf.d", name), content);
  return loadConfig(file);
}

function faults(text: string, dropIns?: Record<string, string>): string[] {
  try {
    load(text, dropIns);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.faults.map(
      ({ line, column, problem, hint }) => `${line}:${column}: ${problem}${hint ? ` (${hint})` : ""}`,
    );
  }
  return [];
}

test("the smallest configuration, and none at all", () => {
  const { config } = load(
    "limits: { subflows: 4, add_addr_accepted: 2 }\nendpoints:\n  - address: 10.0.2.1\n    dev: eth1\n    flags: [subflow]\n",
  );
  assert.deepEqual(config.limits, { subflows: 4, add_addr_accepted: 2 });
  assert.deepEqual(hostConfig(config, "kernel").endpoints, [
    { address: "10.0.2.1", port: 0, id: 0, flags: 2, dev: "eth1" },
  ]);
  const empty = load("").config;
  assert.deepEqual(
    [empty.path_manager, choosePolicy(empty).policy, empty.profile, empty.automatic],
    ["auto", "resilient", "client", true],
  );
  assert.deepEqual(hostConfig(empty, "kernel").limits, { subflows: "auto", addAddrAccepted: "auto" });
  assert.equal(choosePolicy(load("automatic: false\n").config).policy, "standard");
  assert.equal(choosePolicy(load("policy: standard\n").config).policy, "standard");
  assert.deepEqual(hostConfig(load("automatic: false\n").config, "kernel").limits, {
    subflows: undefined,
    addAddrAccepted: undefined,
  });
});

test("a configuration can name every policy, and what only Subflow can do makes `auto` the userspace path manager", () => {
  assert.deepEqual([...POLICIES].sort(), policies.map(({ name }) => name).sort());
  const { config } = load("policy: active-backup\n");
  assert.equal(choosePolicy(config).policy, "active-backup");
  assert.deepEqual(choosePathManager(config, BARE), {
    pathManager: "userspace",
    because: "the in-kernel one cannot do what policy active-backup says",
  });
});

describe("path_manager: auto", () => {
  const there = (flags: number, port = 0): Endpoint => ({
    id: 1,
    address: parseAddress("10.0.1.1")!,
    port,
    flags,
    interfaceIndex: 0,
  });
  const { subflow, laminar, signal, backup, implicit } = ENDPOINT_FLAG;
  const cases: [string, Partial<ChoiceFacts>, PathManager, RegExp][] = [
    ["", {}, "userspace", /neither covers every address nor/],
    ["policy: standard\n", {}, "kernel", /policy standard is what/],
    ["automatic: false\n", {}, "kernel", /policy standard is what/],
    ["policy: standard\n", { current: "userspace" }, "userspace", /userspace already/],
    ["path_manager: kernel\n", {}, "kernel", /configuration or the command line/],
    [
      "remote_addresses: { deny: [10.0.0.0/8] }\n",
      { endpoints: [there(signal)] },
      "userspace",
      /whatever peers announce/,
    ],
    // NetworkManager sets such for every connection: they say no more than we would.
    ["", { endpoints: [there(subflow | laminar), there(implicit)] }, "userspace", /covers/],
    ["", { endpoints: [there(signal)] }, "kernel", /somebody set the endpoint 10\.0\.1\.1/],
    ["", { endpoints: [there(subflow | backup)] }, "kernel", /somebody set/],
    ["", { endpoints: [there(signal, 443)] }, "kernel", /somebody set/],
    ["", { endpoints: [there(subflow)], isOurs: () => true }, "kernel", /an earlier start/],
  ];
  for (const [text, facts, expected, because] of cases) {
    test(`${JSON.stringify(text)} ${JSON.stringify(facts)}: ${expected}`, () => {
      const choice = choosePathManager(load(text).config, { ...BARE, ...facts });
      assert.equal(choice.pathManager, expected);
      assert.match(choice.because, because);
    });
  }
});

test("path_manager: kernel takes the policies that flags and limits say, without parameters", () => {
  for (const name of ["fullmesh", "active-backup", "announce-only", "none"]) {
    const { config } = load(`path_manager: kernel\npolicy: ${name}\n`);
    assert.equal(hostConfig(config, "kernel").kernelPolicy, name);
    assert.equal(hostConfig(config, "userspace").kernelPolicy, undefined);
  }
  assert.equal(hostConfig(load("policy: resilient\n").config, "kernel").kernelPolicy, undefined);
  const given = "path_manager: kernel\npolicy: { name: active-backup, hold_down: 1s }\n";
  assert.match(faults(given).join(), /policy active-backup with hold_down needs the userspace path manager/);
  const more = "path_manager: kernel\npolicy: active-backup\ndelay: 1s\n";
  assert.match(faults(more).join(), /^3:8: delay needs the userspace path manager/);
});

test("what contradicts each other is told of all files together, and of the command line", () => {
  const kernel = { "50.yaml": "path_manager: kernel\n" };
  assert.deepEqual(faults("policy: refresh\n", { "50.yaml": "path_manager: auto\n" }), []);
  assert.match(faults("policy: refresh\n", kernel).join(), /^1:9: policy refresh needs the userspace path manager/);
  assert.deepEqual(faults("path_manager: kernel\npolicy: refresh\n", { "50.yaml": "policy: standard\n" }), []);
});

const WRONG: [string, RegExp][] = [
  [
    "path_manager: kernel\npolicy: refresh\n",
    /^2:9: policy refresh needs the userspace path manager, and path_manager is kernel \(leave one of the two out\)$/,
  ],
  ["limts: {}\n", /^1:1: unknown key "limts" \(did you mean "limits"\?\)$/],
  ["limits:\n  subflow: 3\n", /^2:3: unknown key "subflow" \(did you mean "subflows"\?\)$/],
  ["zzz: 1\n", /^1:1: unknown key "zzz" \(known here: path_manager, .*\)$/],
  ["limits: { subflows: 65 }\n", /^1:21: limits\.subflows: /],
  ["limits: { subflows: many }\n", /^1:21: limits\.subflows: subflows is a number or auto/],
  ["endpoints:\n  - flags: [subflow]\n", /^2:5: "address" is missing$/],
  ["endpoints:\n  - { address: nonsense, flags: [subflow] }\n", /^2:16: endpoints\[0\]\.address: not an IP address$/],
  [
    "endpoints:\n  - { address: 10.0.0.1, flags: [sublfow] }\n",
    /^2:34: endpoints\[0\]\.flags\[0\]: "sublfow" is none of .*did you mean "subflow"/,
  ],
  [
    "endpoints:\n  - { address: 10.0.0.1, flags: [signal, fullmesh] }\n",
    /^2:33: .*signal and fullmesh exclude each other$/,
  ],
  ["endpoints:\n  - { address: 10.0.0.1, flags: [backup] }\n", /does nothing$/],
  [
    "endpoints:\n  - { address: 10.0.0.1, flags: [subflow], port: 8080 }\n",
    /^2:50: endpoints\[0\]\.port: a port needs the flag signal/,
  ],
  [
    "endpoints:\n  - { address: 10.0.0.1, flags: [signal] }\n  - { address: 10.0.0.1, flags: [signal] }\n",
    /^3:5: address 10\.0\.0\.1 stands already in endpoints\[0\]$/,
  ],
  [
    "endpoints:\n  - { address: 10.0.0.1, id: 3, flags: [signal] }\n  - { address: 10.0.0.2, id: 3, flags: [signal] }\n",
    /id 3 stands already/,
  ],
  ["endpoints:\n  - { address: 10.0.0.1, id: 256, flags: [signal] }\n", /id is at most 255$/],
  ["interfaces:\n  - role: backup\n", /^2:5: interfaces\[0\]: a rule needs at least one of name, kind, connection$/],
  [
    "interfaces:\n  - { name: a, role: backup, quota: 5GB }\n",
    /^2:37: interfaces\[0\]\.quota: "5GB" is not a quota as "5GB\/month"/,
  ],
  ["interfaces:\n  - { name: a, role: backup, quota: 5 }\n", /^2:37: interfaces\[0\]\.quota: a quota as "5GB\/month"/],
  ["interfaces:\n  - { name: a, role: backup, quota: 0GB/day }\n", /a quota is at least 1kB; role: off uses nothing$/],
  ["a: 1\na: 2\n", /^2:1: Map keys must be unique$/],
  ["limits: [\n", /^\d+:\d+: /],
  ["- 1\n", /./],
];
for (const [text, expected] of WRONG) {
  test(`refused: ${JSON.stringify(text)}`, () => assert.match(faults(text)[0] ?? "taken", expected));
}

test("all faults are told at once, in the order of the file", () => {
  assert.deepEqual(
    faults("limts: 1\nprofile: clint\n").map((text) => text.split(":")[0]),
    ["1", "2"],
  );
});

test("conf.d: later files win key by key, endpoints add up, duplicates over files are found", () => {
  const dropIns = {
    "20-b.yaml": "limits: { subflows: 7 }\n",
    "10-a.yaml": "endpoints: [{ address: 10.0.0.2, flags: [signal] }]\n",
    "ignored.txt": "nonsense: 1\n",
  };
  const { config, files } = load(
    "limits: { subflows: 3, add_addr_accepted: 1 }\nendpoints: [{ address: 10.0.0.1, flags: [signal] }]\n",
    dropIns,
  );
  assert.deepEqual(config.limits, { subflows: 7, add_addr_accepted: 1 });
  assert.deepEqual(
    config.endpoints.map(({ address }) => address),
    ["10.0.0.1", "10.0.0.2"],
  );
  assert.equal(files.length, 3);
  const twice = faults("endpoints: [{ address: 10.0.0.2, flags: [signal] }]\n", dropIns);
  assert.match(twice[0] ?? "", /stands already/);
});

test("a missing file is said, one that is not ours is not read", () => {
  assert.throws(() => loadConfig(join(directory, "nope.yaml")), /nope\.yaml:1:1: cannot be read: ENOENT/);
  assert.match(faults(`# ${"x".repeat(1 << 20)}\n`)[0] ?? "", /larger than/);
});

test("whose word counts: root, who runs it, who called sudo; what others may write does not", () => {
  const reader = { trusted: [0, 1000], stranger: undefined };
  const cases: [number, number, number, RegExp | undefined][] = [
    [0, 0, 0o644, undefined],
    [0, 0, 0o664, undefined],
    [1000, 1000, 0o664, undefined],
    [1000, 50, 0o644, undefined],
    [1000, 50, 0o664, /^can be written by others \(mode 664\)/],
    [0, 50, 0o660, /^can be written by others/],
    [0, 0, 0o666, /^can be written by others/],
    [0, 0, 0o1777, /^can be written by others/],
    [1001, 1001, 0o600, /^belongs to user 1001/],
    [65534, 65534, 0o600, /^belongs to user 65534/],
  ];
  for (const [uid, gid, mode, fault] of cases) {
    const said = distrust({ uid, gid, mode }, reader);
    if (fault === undefined) assert.equal(said, undefined, `${uid} ${gid} ${mode.toString(8)}`);
    else assert.match(said ?? "nothing", fault);
  }
  assert.equal(distrust({ uid: 65534, gid: 65534, mode: 0o644 }, { trusted: [0], stranger: 65534 }), undefined);
  assert.match(distrust({ uid: 65534, gid: 0, mode: 0o666 }, { trusted: [0], stranger: 65534 }) ?? "", /others/);
});

test("a file beside --config FILE, its folder, and FILE itself: all of one rule", () => {
  const base = mkdtempSync(join(directory, "owned-"));
  const folder = join(base, "conf.d");
  mkdirSync(folder);
  const [main, beside] = [join(base, "my.yaml"), join(folder, "10.yaml")];
  for (const file of [main, beside]) writeFileSync(file, "limits: { subflows: 3 }\n");
  for (const path of [main, folder, beside]) {
    assert.equal(loadConfig(main).files.length, 2);
    const mode = path === folder ? 0o755 : 0o644;
    chmodSync(path, mode | 0o002);
    assert.throws(() => loadConfig(main), new RegExp(`${path}:1:1: can be written by others`));
    chmodSync(path, mode);
    if (process.getuid?.() !== 0 || currentReader().stranger !== undefined) continue;
    chownSync(path, 12345, 12345);
    assert.throws(() => loadConfig(main), new RegExp(`${path}:1:1: belongs to user 12345`));
    chownSync(path, 0, 0);
  }
});

test("conf.d that is no folder is a fault of the configuration", () => {
  const base = mkdtempSync(join(directory, "plain-"));
  writeFileSync(join(base, "conf.d"), "");
  writeFileSync(join(base, "my.yaml"), "");
  assert.throws(() => loadConfig(join(base, "my.yaml")), /conf\.d:1:1: cannot be read: ENOTDIR/);
});

test("any text gives a configuration or a ConfigError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => void faults(text)),
    { numRuns: 300 },
  );
});

test("the nearest word, swaps and dashes included", () => {
  assert.equal(editDistance("limts", "limits"), 1);
  assert.equal(editDistance("sublfow", "subflow"), 1);
  assert.equal(nearest("remote-adresses", ["remote_addresses", "routing"]), "remote_addresses");
  assert.equal(nearest("xyzzy", ["limits", "policy"]), undefined);
});

test("a policy has its parameters beside its name, and a fault of theirs its place", () => {
  const written = load("policy: { name: active-backup, hold_down: 1.5min }\ndelay: 300ms\n").config;
  assert.deepEqual(choosePolicy(written), { policy: "active-backup", given: { hold_down: 90_000 } });
  assert.deepEqual(delayOf(written.delay), { age: 300 });
  assert.deepEqual(faults("policy: { name: active-backup, hold_down: 10 }\n"), [
    '1:43: policy.hold_down: 10 is not a time as "300ms", "5s", "2min", "1h"',
  ]);
  assert.deepEqual(faults("policy: { name: active-backup, holddown: 10s }\n"), [
    '1:32: unknown key "holddown" (did you mean "hold_down"?)',
  ]);
  assert.match(
    faults("policy: { name: nothing }\n")[0]!,
    /1:17: policy.name: "nothing" is no policy: there are standard/,
  );
  assert.match(faults("policy: { hold_down: 10s }\n")[0]!, /the name is missing/);
  assert.deepEqual(faults("delay: 2h\n"), ['1:8: delay: "2h" is above 1h']);
  for (const [wrong, why] of [
    ["500", /"500" is neither a time as "500ms" nor an amount as "64kB"/],
    ["64kB or", /"64kB or" is neither/],
    ["64kB or 1MB", /has two of a kind: one time, one amount/],
    ["64kB and 1s", /is neither/],
    ["0B", /is below 1B/],
    ["[1s]", /a time as "500ms", an amount as "64kB", or both/],
  ] as const)
    assert.match(faults(`delay: ${wrong}\n`).join(), why, wrong);
  for (const [written, delay] of [
    ["64kB", { bytes: 64_000 }],
    ["500ms or 64KiB", { age: 500, bytes: 65_536 }],
    ["1MB or 2s", { age: 2000, bytes: 1e6 }],
    ["0", {}],
  ] as const)
    assert.deepEqual(delayOf(written), delay);
  assert.deepEqual(faults("rules: [{ match: {}, delay: 64kB or 1s }]\n"), []);
  assert.match(faults("path_manager: kernel\ndelay: 1s\n")[0]!, /2:8: delay needs the userspace path manager/);
});

test("applications see, see nothing, or ask for the policies that are named", () => {
  for (const right of ["none", "see", "{ steer: [resilient, active-backup, plugin:mine] }"])
    assert.deepEqual(faults(`applications: ${right}\n`), [], right);
  for (const [wrong, why] of [
    ["steer", /applications is none, see, or \{ steer: \[POLICY, \.\.\.\] \}/],
    ["{ steer: [] }", /the list is empty/],
    ["{ steer: [activ] }", /"activ" is no policy: there are standard, .*, and plugin:NAME/],
    ["{ steer: [resilient], see: true }", /applications is none, see, or/],
  ] as const)
    assert.match(faults(`applications: ${wrong}\n`).join(), why, wrong);
});

test("parameters of a policy in one file are none of another policy in a later one", () => {
  const { config } = load("policy: { name: active-backup, hold_down: 3s }\n", {
    "a.yaml": "policy: { name: refresh, every: 2s }\n",
  });
  assert.deepEqual(choosePolicy(config), { policy: "refresh", given: { every: 2000 } });
});
