import type { Host, Lab } from "../../src/lab/index.ts";
import {
  connected,
  counted,
  impostor,
  mptcpClient,
  nft,
  nftOutput,
  ourDaemon,
  plainServer,
  withoutRoutes,
} from "./doctor-support.ts";

/** A finding, and how to bring it about on a healthy lab. */
export interface Case {
  readonly id: string;
  readonly level: "note" | "warning" | "error";
  readonly on?: "server";
  /** What the doctor runs under: a command that runs another. */
  readonly under?: readonly string[];
  /** Somebody else's program that it needs. */
  readonly program?: string;
  readonly provoke: (lab: Lab, client: Host, server: Host) => Promise<unknown> | unknown;
  readonly seen: RegExp;
  /** Is gone after --fix. */
  readonly mended?: true;
}

/** Every finding that a host's own configuration can bring about. */
export const CASES: readonly Case[] = [
  {
    id: "mptcp-disabled",
    level: "error",
    provoke: (_lab, client) => client.sysctl("net.mptcp.enabled", 0),
    seen: /enabled is 0/,
    mended: true,
  },
  {
    id: "path-manager-absent",
    level: "error",
    provoke: (_lab, client) => client.sysctl("net.mptcp.pm_type", 1),
    seen: /no process here listens/,
    mended: true,
  },
  {
    id: "path-manager-endpoints",
    level: "warning",
    provoke: (_lab, client) => client.sysctl("net.mptcp.pm_type", 1),
    seen: /2 endpoints while the userspace/,
  },
  {
    id: "path-manager-mismatch",
    level: "error",
    provoke: async (lab, client) => {
      await ourDaemon(lab, client);
      client.sysctl("net.mptcp.pm_type", 1);
    },
    seen: /daemon works with the kernel path manager/,
  },
  {
    id: "rivals",
    level: "warning",
    provoke: async (_lab, client) => {
      await impostor(client, "mptcpd");
      await impostor(client, "NetworkManager");
    },
    seen: /mptcpd and NetworkManager|NetworkManager and mptcpd/,
  },
  {
    id: "no-endpoints",
    level: "warning",
    provoke: (_lab, client) => client.ip(["mptcp endpoint flush"]),
    seen: /2 addresses on several interfaces/,
  },
  {
    id: "single-path",
    level: "note",
    provoke: (lab, client) => lab.link("cellular").loseCarrier(client),
    seen: /wifi is the only interface/,
  },
  {
    id: "endpoint-flags",
    level: "error",
    provoke: (_lab, client) => client.ip(["mptcp endpoint delete id 2", "mptcp endpoint add 10.0.2.1"]),
    seen: /10\.0\.2\.1 id \d+ has neither/,
    mended: true,
  },
  {
    id: "endpoint-device",
    level: "warning",
    provoke: (_lab, client) =>
      client.ip([
        "link add gone0 type veth peer name gone1",
        "mptcp endpoint add 10.0.7.1 dev gone0 subflow",
        "link delete gone0",
      ]),
    seen: /bound to interface \d+, which is gone/,
    mended: true,
  },
  {
    id: "endpoint-device",
    level: "warning",
    provoke: (_lab, client) =>
      client.ip(["mptcp endpoint delete id 2", "mptcp endpoint add 10.0.2.1 dev wifi subflow"]),
    seen: /bound to wifi, but cellular has the address/,
  },
  {
    id: "endpoint-address",
    level: "warning",
    provoke: (_lab, client) => client.ip(["mptcp endpoint add 10.0.9.9 subflow"]),
    seen: /10\.0\.9\.9 id \d+ has an address that no interface has/,
    mended: true,
  },
  {
    id: "endpoint-address",
    level: "note",
    provoke: (_lab, client) => client.ip(["mptcp endpoint add 10.0.9.9 signal"]),
    seen: /announces an address that this host does not have/,
  },
  {
    id: "endpoint-unusable",
    level: "note",
    provoke: (lab, client) => lab.link("cellular").loseCarrier(client),
    seen: /cellular has no carrier/,
  },
  {
    id: "endpoint-signal-on-client",
    level: "warning",
    provoke: async (lab, client) => {
      await client.ip(["mptcp endpoint delete id 2", "mptcp endpoint add 10.0.2.1 dev cellular signal"]);
      await connected(lab);
    },
    seen: /10\.0\.2\.1 id \d+ is `signal`/,
  },
  {
    id: "endpoint-subflow-on-server",
    level: "warning",
    on: "server",
    provoke: async (lab, _client, server) => {
      await server.ip(["mptcp endpoint add 10.0.2.2 dev cellular subflow"]);
      await connected(lab);
    },
    seen: /10\.0\.2\.2 id \d+ is `subflow`/,
  },
  {
    id: "limit-subflows",
    level: "error",
    provoke: (_lab, client) => client.ip(["mptcp limits set subflows 0"]),
    seen: /limit of subflows is 0, with 2 endpoints/,
    mended: true,
  },
  {
    id: "limit-subflows",
    level: "warning",
    provoke: async (lab, client) => {
      await lab.link("wifi").addAddress(client, "10.0.1.3/24");
      await client.ip(["mptcp endpoint add 10.0.1.3 dev wifi subflow", "mptcp limits set subflows 1"]);
    },
    seen: /is 1, and 3 endpoints/,
    mended: true,
  },
  {
    id: "limit-add-addr",
    level: "warning",
    provoke: async (lab, client, server) => {
      await client.ip(["mptcp endpoint flush"]);
      await server.ip(["mptcp endpoint add 10.0.2.2 dev cellular signal"]);
      await connected(lab);
      await counted(lab, "client", "AddAddr");
    },
    seen: /announced 1 address, and add_addr_accepted is 0/,
    mended: true,
  },
  {
    id: "endpoint-without-device",
    level: "warning",
    provoke: (_lab, client) =>
      client.ip(["rule delete pref 101", "mptcp endpoint delete id 2", "mptcp endpoint add 10.0.2.1 subflow"]),
    seen: /10\.0\.2\.1 id \d+ names no device/,
  },
  {
    id: "source-route",
    level: "error",
    provoke: (_lab, client) =>
      client.ip(["rule delete pref 101", "mptcp endpoint delete id 2", "mptcp endpoint add 10.0.2.1 subflow"]),
    seen: /leaves by wifi, not by cellular/,
  },
  {
    id: "source-route",
    level: "error",
    provoke: (_lab, client) =>
      client.ip(["rule delete pref 101", "route delete default dev cellular", "route flush table 101"]),
    seen: /finds no gateway on cellular/,
  },
  {
    id: "source-route",
    level: "warning",
    provoke: (_lab, client) =>
      client.ip(["rule delete pref 101", "mptcp endpoint flush", "mptcp endpoint add 10.0.2.1 dev cellular signal"]),
    seen: /leaves by wifi, not by cellular/,
  },
  {
    id: "rp-filter",
    level: "error",
    provoke: async (_lab, client) => {
      await client.ip(["rule delete pref 101"]);
      client.sysctl("net.ipv4.conf.all.rp_filter", 1);
    },
    seen: /strict on cellular \(the larger of all=1/,
    mended: true,
  },
  {
    id: "same-gateway",
    level: "note",
    provoke: (_lab, client) => client.ip(["route add default via 10.0.1.2 dev cellular onlink metric 300"]),
    seen: /have the same gateway 10\.0\.1\.2/,
  },
  {
    id: "duplicate-mac",
    level: "warning",
    provoke: (_lab, client) =>
      client.ip(["link set wifi address 02:00:00:00:00:07", "link set cellular address 02:00:00:00:00:07"]),
    seen: /same hardware address 02:00:00:00:00:07/,
  },
  {
    id: "firewall-option",
    level: "error",
    provoke: (_lab, client) => nft(client, "tcp option mptcp exists drop"),
    seen: /nft rule inet lab in handle \d+ drops packets with TCP option 30/,
  },
  {
    id: "firewall-option",
    level: "error",
    provoke: (_lab, client) => nft(client, "reset tcp option mptcp"),
    seen: /takes TCP option 30/,
  },
  {
    id: "firewall-option",
    level: "error",
    provoke: (_lab, client) =>
      client.exec(["iptables", "-A", "INPUT", "-p", "tcp", "--tcp-option", "30", "-j", "DROP"]),
    seen: /iptables rule -t filter -A INPUT .* drops packets/,
  },
  {
    id: "firewall-device",
    level: "error",
    provoke: (_lab, client) => nftOutput(client, "oifname cellular tcp flags syn drop"),
    seen: /nft rule inet lab out handle \d+ drops what opens subflows through cellular$/,
  },
  {
    id: "firewall-device",
    level: "error",
    provoke: (_lab, client) =>
      client.exec(["iptables", "-A", "OUTPUT", "-o", "cellular", "-p", "tcp", "--syn", "-j", "DROP"]),
    seen: /iptables rule -t filter -A OUTPUT .* drops what opens subflows through cellular$/,
  },
  {
    id: "firewall-invalid",
    level: "note",
    provoke: (_lab, client) => nft(client, "ct state invalid drop"),
    seen: /INVALID/,
  },
  {
    id: "source-route",
    level: "note",
    provoke: async (lab, client) => {
      await withoutRoutes(client, "cellular");
      await connected(lab);
      await counted(lab, "client", "MPJoinSynAckRx");
    },
    seen: /10\.0\.2\.1 id \d+: `ip route get 192\.0\.2\.1 from 10\.0\.2\.1 oif cellular` finds no gateway on cellular/,
  },
  {
    id: "connection-without-subflow",
    level: "warning",
    provoke: async (lab, client) => {
      await connected(lab);
      await client.ip(["mptcp endpoint flush"]);
      await client.exec(["ss", "-K", "src", "10.0.1.1"]);
    },
    seen: /a connection has no subflow left: [0-9a-f]{8}$/,
  },
  {
    id: "connection-unmanaged",
    level: "note",
    provoke: async (lab, client) => {
      client.sysctl("net.mptcp.pm_type", 1);
      await connected(lab);
    },
    seen: /a connection belongs to a userspace path manager, and no Subflow daemon answers here: [0-9a-f]{8}$/,
  },
  {
    id: "connection-unmanaged",
    level: "note",
    provoke: async (lab, client) => {
      await ourDaemon(lab, client);
      client.sysctl("net.mptcp.pm_type", 1);
      await connected(lab);
    },
    seen: /a connection belongs to a userspace path manager, and the Subflow daemon here looks after the in-kernel one/,
  },
  {
    id: "blackhole",
    level: "warning",
    provoke: async (lab, client, server) => {
      client.sysctl("net.mptcp.syn_retrans_before_tcp_fallback", 0);
      await nft(server, "tcp option mptcp exists drop");
      await plainServer(server);
      await mptcpClient(client, "10.0.1.2");
      await counted(lab, "client", "Blackhole");
      await mptcpClient(client, "10.0.1.2");
      await counted(lab, "client", "MPCapableSYNTXDisabled");
    },
    seen: /blackhole detection was in force: Blackhole 1/,
  },
  {
    id: "fallback",
    level: "note",
    provoke: async (lab, client, server) => {
      await plainServer(server);
      await mptcpClient(client, "10.0.1.2");
      await counted(lab, "client", "MPCapableFallbackSYNACK");
    },
    seen: /MPCapableFallbackSYNACK 1/,
  },
  {
    id: "join-rejected",
    level: "warning",
    on: "server",
    provoke: async (lab, _client, server) => {
      await server.ip(["mptcp limits set subflows 0"]);
      await connected(lab);
      await counted(lab, "server", "MPJoinRejected");
    },
    seen: /1 join of peers rejected, 0 accepted/,
  },
  {
    id: "join-failed",
    level: "warning",
    provoke: async (lab, _client, server) => {
      await nft(server, "ip saddr 10.0.2.1 drop");
      await connected(lab);
      await counted(lab, "client", "MPJoinSynTx");
    },
    seen: /1 join sent, none answered/,
  },
  {
    id: "plain-applications",
    level: "note",
    on: "server",
    provoke: (_lab, _client, server) => plainServer(server),
    seen: /listening: \[::\]:7000/,
  },
  {
    id: "buffers",
    level: "note",
    provoke: (_lab, client) => client.sysctl("net.ipv4.tcp_rmem", "4096 65536 262144"),
    seen: /tcp_rmem allows at most 262144/,
  },
];
