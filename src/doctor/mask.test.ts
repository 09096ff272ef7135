import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress } from "../types/index.ts";
import { Masker, maskAddresses, scopeOf } from "./index.ts";

test("each address becomes a word that keeps family and scope, always the same one", () => {
  for (const [text, masked] of [
    ["10.0.0.1 10.0.0.2 10.0.0.1", "v4-private-1 v4-private-2 v4-private-1"],
    ["8.8.8.8:443 via 100.64.0.1", "v4-global-1:443 via v4-shared-1"],
    ["[2a00:1450::1]:443 fe80::1%eth0 fd00::1", "[v6-global-1]:443 v6-linklocal-1%eth0 v6-private-1"],
    ["2A00:1450:0::1 2a00:1450::1", "v6-global-1 v6-global-1"],
    ["::ffff:10.0.0.1 10.0.0.1", "::ffff:v4-private-1 v4-private-1"],
    ["02:00:00:00:00:01 02:00:00:00:00:01", "mac-1 mac-1"],
    ['{"address":"10.0.0.1","prefix":24}', '{"address":"v4-private-1","prefix":24}'],
    ["127.0.0.1 0.0.0.0 :: ::1 192.0.2.1 2001:db8::1", "127.0.0.1 0.0.0.0 :: ::1 192.0.2.1 2001:db8::1"],
    ["kernel 6.18.44-rc1, 12:34:56, 1.2.3", "kernel 6.18.44-rc1, 12:34:56, 1.2.3"],
  ] as const) {
    assert.equal(maskAddresses(text), masked);
  }
});

test("no address survives, wherever it stands", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const around = fc.constantFrom(["", ""], ['"', '"'], ["[", "]:443"], ["via ", " dev eth0"], ["", "/24"], ["", ","]);
  fc.assert(
    fc.property(bytes, around, (raw, [before, after]) => {
      const address = formatAddress(raw);
      if (scopeOf(address) === undefined) return;
      const masked = maskAddresses(`${before}${address}${after}`);
      assert.ok(!masked.includes(address), masked);
      assert.match(masked, /v[46]-[a-z]+-1/);
      assert.equal(parseAddress(address), address);
    }),
  );
});

/** Secrets of a machine, and how the outside world may write them; made without the code that hides them. */
const byte = fc.integer({ min: 0, max: 255 });
const hex2 = (value: number): string => value.toString(16).padStart(2, "0");
const macBytes = fc.tuple(fc.constant(0x02), byte, byte, byte, byte, fc.integer({ min: 1, max: 254 }));
const v4Bytes = fc.tuple(fc.integer({ min: 11, max: 99 }), byte, byte, fc.integer({ min: 1, max: 254 }));
const v6Bytes = fc
  .array(byte, { minLength: 14, maxLength: 14 })
  .map((rest) => [0x2a, 0x01, ...rest])
  .filter((bytes) => bytes.slice(8).some((value) => value !== 0));
const host = fc.stringMatching(/^[a-z]{3}q[a-z0-9]{4}z$/);

function v4Forms([a, b, c, d]: readonly number[]): string[] {
  const all = [a!, b!, c!, d!];
  return [
    all.join("."),
    `::ffff:${all.join(".")}`,
    `::ffff:${hex2(a!)}${hex2(b!)}:${hex2(c!)}${hex2(d!)}`,
    all.map(hex2).join(""),
    `0x${all.map(hex2).join("").toUpperCase()}`,
    [d!, c!, b!, a!].map(hex2).join(""),
    all.map(hex2).join(":"),
    all.map((value) => String(value).padStart(3, "0")).join("."),
    `ip-${all.join("-")}`,
    `${[d, c, b, a].join(".")}.in-addr.arpa`,
    String(Buffer.from(all).readUInt32BE()),
  ];
}

function v6Forms(bytes: readonly number[]): string[] {
  const digits = bytes.map(hex2).join("");
  const groups = digits.match(/..../g)!;
  return [
    groups.join(":"),
    groups.join(":").toUpperCase(),
    groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":"),
    digits,
    digits.toUpperCase(),
    groups.join("-"),
    `${[...digits].reverse().join(".")}.ip6.arpa`,
    digits
      .match(/.{8}/g)!
      .map((word) => word.match(/../g)!.reverse().join(""))
      .join(""),
  ];
}

function macForms(bytes: readonly number[]): string[] {
  const digits = bytes.map(hex2).join("");
  const pairs = bytes.map(hex2);
  return [
    pairs.join(":"),
    pairs.join("-").toUpperCase(),
    digits.match(/..../g)!.join("."),
    digits,
    `enx${digits}`,
    `wl${digits}`,
    `fe80::${hex2(bytes[0]! ^ 2)}${pairs[1]}:${pairs[2]}ff:fe${pairs[3]}:${pairs[4]}${pairs[5]}`,
  ];
}

test("no planted secret survives, however it is written and wherever it stands", () => {
  const around = fc.constantFrom(...["@", "-A INPUT -s @/32 -j DROP", "to:@:443", "x@y", "[@]", "tun@", "= @, via @"]);
  const plants = fc.record({ mac: macBytes, v4: v4Bytes, v6: v6Bytes, host, pick: fc.nat(), around });
  fc.assert(
    fc.property(plants, ({ mac, v4, v6, host: name, pick, around: frame }) => {
      const forms = [v4Forms(v4), v6Forms(v6), macForms(mac)];
      const [four, six, hardware] = forms.map((list) => list[pick % list.length]!);
      const put = (text: string): string => frame.replaceAll("@", text);
      const report = {
        links: [
          { name: `enx${mac.map(hex2).join("")}`, hardwareAddress: mac.map(hex2).join(":") },
          { name: "ipip0", hardwareAddress: v4.map(hex2).join(":") },
          { name: "ip6tnl0", hardwareAddress: v6.map(hex2).join(":") },
        ],
        sysctls: new Map([[`net.ipv4.conf.wlx${mac.map(hex2).join("")}.rp_filter`, "1"]]),
        firewall: [
          { rule: put(four!) },
          { rule: put(six!) },
          { rule: put(hardware!) },
          { rule: `--comment "${name}"` },
        ],
        notLooked: [{ what: "side", why: `no such host: ${name}.corp.example` }],
        side: "client",
      };
      const masker = new Masker();
      masker.learnHost(`${name}.corp.example`);
      masker.learn(report);
      const masked = masker.value(report);
      const text = JSON.stringify({ ...masked, sysctls: [...masked.sysctls] });
      for (const secret of [...forms.flat(), name, "corp.example"]) {
        assert.ok(!text.toLowerCase().includes(secret.toLowerCase()), `${secret} survives in ${text}`);
      }
      assert.equal(masked.side, "client");
      assert.equal(masked.notLooked[0]!.what, "side");
      assert.match(masked.links[0]!.name, /^enxmac-\d+$/);
    }),
    { numRuns: 300 },
  );
});

test("one secret has one word, however it is written, and another secret another", () => {
  const masker = new Masker();
  masker.learn({ links: [{ hardwareAddress: "02:11:22:33:44:55" }, { hardwareAddress: "0a:01:01:09" }] });
  assert.equal(
    masker.text("enx021122334455 02-11-22-33-44-55 0211.2233.4455 10.1.1.9 0A010109 10.1.1.90"),
    "enxmac-1 mac-1 mac-1 v4-private-1 v4-private-1 v4-private-2",
  );
});

test("words of our own stay, also on a host that has one for its name", () => {
  const masker = new Masker();
  masker.learnHost("client");
  masker.learnHost("localhost");
  const report = { side: "client", rule: "from client to localhost, clients stay", connection: "Acme Guest" };
  masker.learn(report);
  assert.deepEqual(masker.value(report), {
    side: "client",
    rule: "from host-1 to localhost, clients stay",
    connection: "name-1",
  });
});
