import type { Host } from "../../src/lab/index.ts";
import { ERRNO } from "../../src/types/index.ts";
import type { Case } from "./doctor-cases.ts";
import { connected, counted, nft, nftOutput, ourDaemon, withoutRoutes } from "./doctor-support.ts";
import { MPTCPD, startMptcpd } from "./support.ts";

/** Numbers of socket(2) and prctl(2) by Node's name of the architecture. */
const CALLS: Partial<Record<NodeJS.Architecture, readonly [number, number]>> = { x64: [41, 157], arm64: [198, 167] };
const [SOCKET, PRCTL] = CALLS[process.arch] ?? [0, 0];

/**
 * A seccomp filter as containers and units have it: socket(domain, ?, protocol) fails. Then runs the rest of the command line.
 * perl-base is on every Debian, and can make any system call.
 */
const SECCOMP = `
my ($socket, $prctl, $domain, $protocol, $errno) = splice @ARGV, 0, 5;
my $unless = sub { pack("SCCL", 0x15, 0, $_[1], $_[0]) };
my $load = sub { pack("SCCL", 0x20, 0, 0, $_[0]) };
my $return = sub { pack("SCCL", 0x06, 0, 0, $_[0]) };
my $filter = $load->(0) . $unless->($socket, 5) . $load->(16) . $unless->($domain, 3) . $load->(32) . $unless->($protocol, 1)
  . $return->(0x50000 | $errno) . $return->(0x7fff0000);
syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
syscall($prctl, 22, 2, pack("Sx6P", length($filter) / 8, $filter), 0, 0) == 0 or die "seccomp: $!";
exec @ARGV or die $!;
`;

const refused = (domain: number, protocol: number, errno: number): string[] =>
  ["perl", "-e", SECCOMP, "--", SOCKET, PRCTL, domain, protocol, errno].map(String);
const [INET, NETLINK, INET6] = [2, 16, 10];
const [MPTCP, SOCK_DIAG] = [262, 4];

const useIpv6 = (host: Host): Promise<void> => host.ip(["address add 2001:db8:1::1/64 dev wifi nodad"]);

/** What leaves a host is changed on its way. */
function mangle(host: Host, rule: string): Promise<unknown> {
  const chain = "add chain inet lab out { type filter hook postrouting priority 0; }";
  return host.exec(["nft", "-f", "-"], { input: `add table inet lab\n${chain}\nadd rule inet lab out ${rule}\n` });
}

/** Many tracked connections, as only the first namespace may change how many there can be: datagrams to the loopback until connection tracking has so much of what it may have. */
const FLOOD = `
use Socket;
open my $max, "<", "/proc/sys/net/netfilter/nf_conntrack_max" or die $!;
my $count = <$max> * $ARGV[0];
socket my $socket, AF_INET, SOCK_DGRAM, 0;
send $socket, "", 0, pack_sockaddr_in(1 + $_ % 65000, pack("C4", 127, 0, 1 + $_ / 65000 / 250, 1 + $_ / 65000 % 250)) for 1 .. $count;
`;

async function track(host: Host, share: number): Promise<unknown> {
  await nft(host, "ct state new meta l4proto udp drop");
  return host.exec(["perl", "-e", FLOOD, String(share)]);
}

/** Findings about what is not the host's configuration: its kernel, a policy around it, the way to its peers. */
export const OUTSIDE: readonly Case[] = [
  {
    id: "kernel-mptcp",
    level: "error",
    under: refused(INET, MPTCP, ERRNO.EACCES),
    provoke: () => {},
    seen: /IPPROTO_MPTCP\) is refused: EACCES/,
  },
  {
    id: "kernel-mptcp",
    level: "error",
    under: refused(INET, MPTCP, ERRNO.EPROTONOSUPPORT),
    provoke: () => {},
    seen: /IPPROTO_MPTCP\) is refused: EPROTONOSUPPORT/,
  },
  {
    id: "kernel-mptcp-ipv6",
    level: "warning",
    under: refused(INET6, MPTCP, ERRNO.EPROTONOSUPPORT),
    provoke: (_lab, client) => useIpv6(client),
    seen: /IPv6 MPTCP socket is refused: EPROTONOSUPPORT/,
  },
  {
    id: "kernel-diag",
    level: "note",
    under: refused(NETLINK, SOCK_DIAG, ERRNO.EPROTONOSUPPORT),
    provoke: () => {},
    seen: /cannot be listed: EPROTONOSUPPORT/,
  },
  {
    id: "conntrack-full",
    level: "warning",
    provoke: (_lab, client) => track(client, 0.95),
    seen: /nearly full: \d+ of \d+/,
  },
  {
    id: "middlebox",
    level: "warning",
    provoke: async (lab, _client, server) => {
      // Behind the header, MSS, SACK, timestamps and window scale (20 bytes each) stands MP_JOIN: its proof from byte 4 on.
      await mangle(server, "oifname cellular tcp flags & (syn | ack) == (syn | ack) @th,352,32 set 1");
      await connected(lab);
      await counted(lab, "client", "MPJoinSynAckHMacFailure");
    },
    seen: /wrong proof: MPJoinSynAckHMacFailure 1/,
  },
  {
    id: "connection-fallback",
    level: "note",
    provoke: async (lab, _client, server) => {
      await mangle(server, "oifname wifi tcp flags & syn == 0 reset tcp option mptcp");
      await connected(lab);
      await counted(lab, "client", "MPCapableDataFallback");
    },
    seen: /a connection fell back to plain TCP: [0-9a-f]{8}$/,
  },
  {
    id: "middlebox",
    level: "warning",
    provoke: async (lab, _client, server) => {
      await mangle(server, "oifname wifi tcp flags & syn == 0 reset tcp option mptcp");
      await connected(lab);
      await counted(lab, "client", "MPCapableDataFallback");
    },
    seen: /mapping of data was lost or damaged: MPCapableDataFallback 1/,
  },
  {
    id: "rivals",
    level: "warning",
    on: "server",
    program: MPTCPD,
    provoke: async (lab, _client, server) => {
      await startMptcpd(lab, server);
      await ourDaemon(lab, server);
    },
    seen: /mptcpd and subflow both manage/,
  },
];

/** What looks like a finding and is none. */
export const INNOCENT: readonly (Pick<Case, "id" | "on" | "under" | "program" | "provoke"> & {
  readonly what: string;
})[] = [
  {
    id: "kernel-mptcp",
    what: "MPTCP is only switched off",
    provoke: (_lab, client) => client.sysctl("net.mptcp.enabled", 0),
  },
  {
    id: "kernel-mptcp-ipv6",
    what: "no IPv6 here to use it",
    under: refused(INET6, MPTCP, ERRNO.EPROTONOSUPPORT),
    provoke: () => {},
  },
  {
    id: "kernel-diag",
    what: "without any right they can be listed all the same",
    under: ["setpriv", "--bounding-set=-all", "--inh-caps=-all"],
    provoke: () => {},
  },
  {
    id: "source-route",
    what: "no route leads there, and the subflow exists: a neighbour answers",
    provoke: async (lab, client) => {
      for (const link of ["wifi", "cellular"]) await withoutRoutes(client, link);
      await connected(lab);
      await counted(lab, "client", "MPJoinSynAckRx");
    },
  },
  {
    id: "firewall-device",
    what: "only one port is closed",
    provoke: (_lab, client) => nftOutput(client, "oifname cellular tcp dport 25 drop"),
  },
  { id: "conntrack-full", what: "half full", provoke: (_lab, client) => track(client, 0.5) },
  {
    id: "middlebox",
    what: "the option is taken out of the handshake, which is a fallback",
    provoke: async (lab, _client, server) => {
      await mangle(server, "oifname wifi reset tcp option mptcp");
      await connected(lab);
      await counted(lab, "client", "MPCapableFallbackSYNACK");
    },
  },
  {
    id: "rivals",
    what: "mptcpd alone",
    on: "server",
    program: MPTCPD,
    provoke: (lab, _client, server) => startMptcpd(lab, server),
  },
];
