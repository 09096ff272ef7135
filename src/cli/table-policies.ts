import type { Command } from "./command.ts";

/** Rows of the table: how connections are treated. */
export const POLICY_COMMANDS: readonly Command[] = [
  {
    words: ["policy", "list"],
    takes: [],
    summary: "list the policies that connections can have",
    usage: "",
    examples: ["policy list"],
    byDefault: true,
    load: () => import("./commands/policy.ts"),
  },
  {
    words: ["policy", "show"],
    takes: ["policy"],
    summary: "show what of a policy can be set",
    usage: "NAME",
    examples: ["policy show active-backup"],
    load: () => import("./commands/policy.ts"),
  },
  {
    words: ["policy", "new"],
    takes: ["free"],
    summary: "write a policy to begin with, and its tests, into this folder",
    usage: "NAME",
    examples: ["policy new mine"],
    load: () => import("./commands/policy-new.ts"),
  },
  {
    words: ["policy", "test"],
    takes: ["file"],
    summary: "hold a policy of yours to the laws that each must keep, and run the tests beside it",
    usage: "FILE",
    details: ["Without root, kernel and waiting. mine.test.mjs stands beside mine.mjs."],
    examples: ["policy test mine.mjs"],
    load: () => import("./commands/policy-test.ts"),
  },
  {
    words: ["policy", "try"],
    takes: ["policy"],
    summary:
      "see a policy beside resilient on this kernel: a download over two paths, of which the first is lost and comes back",
    usage: "NAME|FILE",
    details: [
      "Makes hosts and links out of network namespaces, as `subflow demo` does, and configures nothing on this host.",
      "Takes 40 seconds. Works as root, and without where users may make user namespaces.",
    ],
    examples: ["policy try active-backup", "policy try mine.mjs"],
    load: () => import("./commands/policy-try.ts"),
  },
  {
    words: ["policy", "set"],
    takes: ["token", "policy", ...Array.from({ length: 8 }, () => "free" as const)],
    summary: "give one connection another policy (userspace path manager)",
    usage: "TOKEN NAME [ PARAMETER=VALUE ... ]",
    details: [
      "It stays until the connection ends or `policy unset`, whatever the configuration says. A daemon must run. Beside the policy's own parameters there is",
      "delay=64kB, delay=300ms or delay='64kB or 300ms': no further subflow before.",
    ],
    examples: ["policy set 1b2c3d4e active-backup hold_down=10s", "policy set 1b2c3d4e resilient delay=64kB"],
    load: () => import("./commands/policy.ts"),
  },
  {
    words: ["policy", "unset"],
    takes: ["token"],
    summary: "give one connection back to what the configuration says (userspace path manager)",
    usage: "TOKEN",
    details: ["Ends what `policy set`, or an application, asked for. A daemon must run."],
    examples: ["policy unset 1b2c3d4e"],
    load: () => import("./commands/policy.ts"),
  },
  {
    words: ["rule", "test"],
    takes: ["token"],
    summary: "say which rule of the configuration a connection has, and why not the ones before",
    usage: "TOKEN | --remote ADDRESS[:PORT] [ --local ADDRESS[:PORT] ] [ --side SIDE ] [ ... ]",
    details: ["Of a connection that there is, or of one that is described. Needs no daemon."],
    options: [
      { name: "remote", value: "ADDRESS[:PORT]", says: "of the peer" },
      { name: "local", value: "ADDRESS[:PORT]", says: "where it begins here" },
      { name: "side", value: "SIDE", kind: ["client", "server"], says: "client (default) or server" },
      { name: "interface", value: "NAME", kind: "interface", says: "where it begins" },
      { name: "user", value: "USER", says: "name or number of who has the socket" },
      { name: "unit", value: "UNIT", says: "systemd unit that has it" },
      { name: "cgroup", value: "PATH", says: "cgroup that has it" },
      { name: "command", value: "NAME", says: "command that has it" },
      { name: "config", value: "FILE", kind: "file", says: "instead of /etc/subflow/subflow.yaml" },
    ],
    examples: ["rule test --remote 10.1.2.3:443 --user alice", "rule test 1b2c3d4e"],
    load: () => import("./commands/rule-test.ts"),
  },
  {
    words: ["exec"],
    takes: ["file"],
    passesOn: true,
    summary: "run a program that uses MPTCP where it asks for TCP, without root",
    usage: "[ -- ] COMMAND [ ARGUMENT... ]",
    details: [
      "COMMAND and what it starts get MPTCP sockets instead of TCP ones: by a preloaded library (LD_PRELOAD), and Go programs",
      "by GODEBUG=multipathtcp=1. Where the kernel has no MPTCP, plain TCP. COMMAND takes this process's place: its exit",
      "status and its signals are its own. What cannot be helped (static and set-user-id programs) is said and run as it is.",
      "Exit status of our own: 127 no such program, 126 it may not be run.",
    ],
    examples: ["exec curl https://example.org", "-n blue exec python3 -m http.server", "exec -- sh -c 'wget ...'"],
    load: () => import("./commands/exec.ts"),
  },
  {
    words: ["apps"],
    takes: [],
    summary: "show which running programs use MPTCP, which plain TCP that could be, and which fell back, and why",
    usage: "[ --all ]",
    details: [
      "By process, in this network namespace; connections over the loopback are left out. Without root only the programs of",
      "one's own user are seen, and of the others how many connections they have.",
    ],
    options: [{ name: "all", says: "also programs that have nothing but connections over the loopback" }],
    examples: ["apps", "-n blue -j apps"],
    load: () => import("./commands/apps.ts"),
  },
  ...(["enable", "disable"] as const).map(
    (verb): Command => ({
      words: [verb],
      takes: ["free"],
      summary:
        verb === "enable"
          ? "have units, users, cgroups or all programs use MPTCP where they ask for TCP"
          : "undo `subflow enable`: they ask for TCP again",
      usage: "UNIT [ --now ] | --all | --user NAME | --cgroup PATH",
      details:
        verb === "enable"
          ? [
              "UNIT: a drop-in, which of a service preloads the library of `subflow exec`, and of a socket (systemd 257 and newer) says",
              "SocketProtocol=mptcp. It holds from the unit's next start on. What would do nothing is refused, with the reason.",
              "Else by the kernel (Linux 6.6 and newer, a BPF program), at once and until the machine starts anew; static programs,",
              "too. Sockets that exist stay what they are.",
            ]
          : ["What runs goes on as it is: a unit until it is started anew, sockets until they are closed."],
      options: [
        { name: "now", says: "restart the unit, if it runs" },
        { name: "all", says: "every program of this machine, in every network namespace" },
        { name: "user", value: "NAME", says: "the programs of a user" },
        { name: "cgroup", value: "PATH", says: "the programs in a cgroup and below it: /system.slice/nginx.service" },
      ],
      examples: [`${verb} nginx`, `${verb} ssh.socket --now`, `${verb} --user www-data`, `${verb} --all`],
      load: () => import("./commands/enable.ts"),
    }),
  ),
  {
    words: ["enabled"],
    takes: [],
    summary: "show what `subflow enable` has made use MPTCP",
    usage: "",
    examples: ["enabled", "-j enabled"],
    load: () => import("./commands/enable.ts"),
  },
];
