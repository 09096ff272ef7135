import type { Command } from "./command.ts";

const ENDPOINT_FLAGS = ["signal", "subflow", "laminar", "backup", "fullmesh"];
const CHANGE_FLAGS = ["backup", "nobackup", "fullmesh", "nofullmesh"];
const PATH_OPTIONS = [{ name: "all", says: "every subflow that matches, not only one" }];
const PATH_DETAILS = [
  "LOCAL and REMOTE select the subflow: an address, an address with a port (10.0.0.1:443, [2001:db8::1]:443),",
  "and for LOCAL also the name of an interface. They must leave exactly one subflow, unless --all is given.",
];

const CONFIG_SUMMARY: Record<string, string> = {
  check: "say whether the configuration is valid, with file:line:column where not",
  show: "print the configuration with every default filled in",
  schema: "print the JSON Schema of the configuration",
};

/**
 * Every command. The order matters for abbreviations: as in iproute2, the first word that starts so is meant, so the
 * words of ip-mptcp(8) come first.
 */
export const COMMANDS: readonly Command[] = [
  {
    words: ["endpoint", "add"],
    summary: "add an endpoint: an address that connections may use or announce",
    usage: "ADDRESS [ dev NAME ] [ id ID ] [ port NR ] [ FLAG-LIST ]",
    details: [
      "FLAG-LIST := [ signal ] [ subflow ] [ laminar ] [ backup ] [ fullmesh ]",
      "signal    announce the address to the peer (for servers)",
      "subflow   open a further subflow from it (for clients)",
      "laminar   use it as the local end towards addresses that the peer announces",
      "backup    carry data only when no other subflow can",
      "fullmesh  open a subflow from it to every address of the peer",
    ],
    vocabulary: ["dev", "id", "port", ...ENDPOINT_FLAGS],
    examples: ["endpoint add 10.0.2.1 dev wlan0 subflow", "endpoint add 10.0.1.2 dev eth0 signal port 8443"],
    load: () => import("./commands/endpoint-add.ts"),
  },
  {
    words: ["endpoint", "change"],
    summary: "set or clear backup and fullmesh of an endpoint",
    usage: "[ id ID ] [ ADDRESS ] [ port NR ] CHANGE-OPT",
    details: ["CHANGE-OPT := [ backup | nobackup ] [ fullmesh | nofullmesh ]", "A flag that is not named is cleared."],
    vocabulary: ["id", "port", ...CHANGE_FLAGS],
    examples: ["endpoint change id 3 backup"],
    load: () => import("./commands/endpoint-change.ts"),
  },
  {
    words: ["endpoint", "delete"],
    summary: "delete an endpoint, and the subflows that came from it",
    usage: "id ID [ ADDRESS ]",
    details: ["ADDRESS is needed for, and only for, id 0: the address of the initial subflow."],
    vocabulary: ["id"],
    examples: ["endpoint delete id 3"],
    load: () => import("./commands/endpoint-delete.ts"),
  },
  {
    words: ["endpoint", "show"],
    summary: "show all endpoints, or one",
    usage: "[ id ID ]",
    vocabulary: ["id"],
    examples: ["endpoint", "-j endpoint show id 1"],
    byDefault: true,
    load: () => import("./commands/endpoint-show.ts"),
  },
  {
    words: ["endpoint", "flush"],
    summary: "delete all endpoints",
    usage: "",
    examples: ["endpoint flush"],
    load: () => import("./commands/endpoint-flush.ts"),
  },
  {
    words: ["limits", "set"],
    summary: "set how many further subflows a connection may have",
    usage: "[ subflows NR ] [ add_addr_accepted NR ]",
    details: [
      "subflows           further subflows of a connection, opened by either side",
      "add_addr_accepted  announced addresses of the peer that are followed",
    ],
    vocabulary: ["subflows", "add_addr_accepted"],
    examples: ["limits set subflows 4 add_addr_accepted 2"],
    load: () => import("./commands/limits-set.ts"),
  },
  {
    words: ["limits", "show"],
    summary: "show the limits",
    usage: "",
    examples: ["limits"],
    byDefault: true,
    load: () => import("./commands/limits-show.ts"),
  },
  {
    words: ["monitor"],
    summary: "print what happens to connections as it happens, until ^C",
    usage: "",
    details: [
      "With -j every line is one JSON value.",
      "While any monitor runs on this host, the kernel accepts every join to connections of the userspace path manager.",
    ],
    examples: ["monitor", "-j monitor | jq .event"],
    load: () => import("./commands/monitor.ts"),
  },
  {
    words: ["connections"],
    summary: "show the MPTCP connections and their subflows",
    usage: "[ TOKEN ] [ --watch ] [ --interval SECONDS ]",
    options: [
      { name: "watch", says: "show them again and again, until ^C" },
      { name: "interval", value: "SECONDS", says: "how often with --watch (default 1)" },
    ],
    examples: ["connections", "connections 1b2c3d4e", "connections --watch"],
    load: () => import("./commands/connections.ts"),
  },
  {
    words: ["status"],
    summary: "show what the kernel can do, which path manager is in charge, and what it has done",
    usage: "",
    examples: ["status", "-j -p status"],
    load: () => import("./commands/status.ts"),
  },
  {
    words: ["why"],
    summary: "explain the subflows of a connection: which are there, which are not, and why",
    usage: "TOKEN",
    examples: ["why 1b2c3d4e", "-j why 1b2c3d4e"],
    load: () => import("./commands/why.ts"),
  },
  {
    words: ["doctor"],
    summary: "find what keeps a second subflow from existing, and say how to mend it",
    usage: "[ --fix [ --yes ] ] [ --all ] | --path HOST[:PORT] [ --join ]",
    details: [
      "Prints each finding: what was seen, why it matters, and the command that mends it. Works without rights as far as",
      "possible, and says what was not looked at. Exit status: 0 nothing but notes, 3 warnings, 4 errors.",
      "--path connects from each local address to a host of yours (port 443 unless given), closes at once and sends no",
      "data, and tells where MPTCP survives; exit status 3 where it does not, or nothing is known.",
    ],
    options: [
      { name: "fix", says: "apply the fixes that harm no connection, after asking" },
      { name: "yes", says: "do not ask (for scripts)" },
      { name: "all", says: "print what is well, too" },
      { name: "path", value: "HOST[:PORT]", says: "test each local path against this host" },
      { name: "join", says: "also see whether joins work from addresses that have an endpoint; sends one byte" },
    ],
    examples: ["doctor", "doctor --fix", "-n blue -j doctor", "doctor --path example.org:443"],
    load: () => import("./commands/doctor.ts"),
  },
  {
    words: ["report"],
    summary: "write everything that a bug report needs into one file",
    usage: "[ FILE ] [ --mask ] [ --window SECONDS ]",
    details: [
      "Versions, sysctls, endpoints, limits, interfaces, routes, connections, counters and how they grew, what the doctor",
      "found, and what the daemon plans; as Markdown, to standard output unless FILE is given; JSON with -j.",
    ],
    options: [
      { name: "mask", says: "replace IP and hardware addresses, the same one always by the same word" },
      { name: "window", value: "SECONDS", says: "how long to watch the counters (default 2, 0 to 600)" },
    ],
    examples: ["report > report.md", "report bug.md --mask", "-j report --window 10"],
    load: () => import("./commands/report.ts"),
  },
  {
    words: ["run"],
    summary: "be the path manager of this network namespace, until SIGTERM",
    usage:
      "[ --config FILE ] [ --path-manager NAME ] [ --no-automatic ] [ --keep-on-exit ]\n       [ --log-level LEVEL ] [ --dry-run ]",
    details: [
      "Endpoints, limits, source routing and rp_filter follow the interfaces, unless --no-automatic.",
      "With --path-manager userspace it decides for each connection itself (net.mptcp.path_manager is set, and put",
      "back at the end); auto, the default, keeps the in-kernel one unless the configuration needs more.",
      "SIGHUP reads the configuration again. Needs CAP_NET_ADMIN.",
    ],
    options: [
      { name: "config", value: "FILE", says: "instead of /etc/subflow/subflow.yaml" },
      { name: "path-manager", value: "NAME", says: "auto, kernel or userspace" },
      { name: "no-automatic", says: "leave endpoints, limits, routing and sysctls to the user" },
      { name: "keep-on-exit", says: "leave everything as it is at the end" },
      { name: "log-level", value: "LEVEL", says: "debug, info, warn or error" },
      { name: "dry-run", says: "print what would be done, as a diff and as commands, and do nothing" },
    ],
    examples: ["run", "-n blue run --config ./subflow.yaml"],
    load: () => import("./commands/run.ts"),
  },
  ...["check", "show", "schema"].map(
    (verb): Command => ({
      words: ["config", verb],
      summary: CONFIG_SUMMARY[verb]!,
      usage: verb === "schema" ? "" : "[ --config FILE ]",
      options:
        verb === "schema" ? [] : [{ name: "config", value: "FILE", says: "instead of /etc/subflow/subflow.yaml" }],
      examples: [`config ${verb}`],
      load: () => import("./commands/config.ts"),
    }),
  ),
  {
    words: ["announce"],
    summary: "announce an address to the peer of a connection (userspace path manager)",
    usage: "TOKEN ADDRESS[:PORT]|INTERFACE [ --id ID ] [ --backup ]",
    options: [
      { name: "id", value: "ID", says: "1 to 255 (default: the one the address has, or the lowest free one)" },
      { name: "backup", says: "joins to it carry data only when no other subflow can" },
    ],
    examples: ["announce 1b2c3d4e 10.0.2.1", "announce 1b2c3d4e wlan0"],
    load: () => import("./commands/announce.ts"),
  },
  {
    words: ["remove"],
    summary: "take an announced address back (userspace path manager)",
    usage: "TOKEN ID|ADDRESS|INTERFACE",
    examples: ["remove 1b2c3d4e 2", "remove 1b2c3d4e 10.0.2.1"],
    load: () => import("./commands/remove.ts"),
  },
  {
    words: ["create"],
    summary: "open a subflow of a connection (userspace path manager)",
    usage: "TOKEN LOCAL|INTERFACE [ REMOTE[:PORT] ] [ --id ID ] [ --remote-id ID ] [ --backup ]",
    details: ["REMOTE is the address, PORT the port of the initial subflow, unless given."],
    options: [
      { name: "id", value: "ID", says: "of the local address (default: the one it has, or the lowest free one)" },
      { name: "remote-id", value: "ID", says: "of the remote address (default: as an existing subflow has it)" },
      { name: "dev", value: "NAME", says: "bind the subflow to this interface" },
      { name: "backup", says: "carry data only when no other subflow can" },
    ],
    examples: ["create 1b2c3d4e wlan0", "create 1b2c3d4e 10.0.2.1 10.0.1.2:443 --backup"],
    load: () => import("./commands/create.ts"),
  },
  {
    words: ["destroy"],
    summary: "close a subflow of a connection (userspace path manager)",
    usage: "TOKEN LOCAL [ REMOTE ] [ --all ]",
    details: PATH_DETAILS,
    options: PATH_OPTIONS,
    examples: ["destroy 1b2c3d4e wlan0", "destroy 1b2c3d4e 10.0.2.1:41234"],
    load: () => import("./commands/destroy.ts"),
  },
  {
    words: ["backup"],
    summary: "make a subflow a backup, and tell the peer (userspace path manager)",
    usage: "TOKEN LOCAL [ REMOTE ] [ --all ]",
    details: PATH_DETAILS,
    options: PATH_OPTIONS,
    examples: ["backup 1b2c3d4e wlan0"],
    load: () => import("./commands/backup.ts"),
  },
  {
    words: ["nobackup"],
    summary: "make a subflow a normal one again (userspace path manager)",
    usage: "TOKEN LOCAL [ REMOTE ] [ --all ]",
    details: PATH_DETAILS,
    options: PATH_OPTIONS,
    examples: ["nobackup 1b2c3d4e wlan0"],
    load: () => import("./commands/backup.ts"),
  },
  {
    words: ["demo"],
    summary: "watch a download survive the loss of its first path, on this kernel",
    usage: "[ --kernel ]",
    options: [{ name: "kernel", says: "with the in-kernel path manager instead, for comparison" }],
    details: [
      "Makes a client with two paths (wifi, and cellular as backup) and a server, in network namespaces of their own;",
      "runs Subflow on both, pulls the cable of wifi in the middle of a transfer and plugs it in again. Takes 20 seconds and",
      "configures nothing on this host;",
      "as with every monitor of MPTCP events, namespaces with pm_type 1 accept every join while it runs.",
      "Works as root, and without where users may make user namespaces.",
    ],
    examples: ["demo", "demo --kernel", "-j demo"],
    load: () => import("./commands/demo.ts"),
  },
  {
    words: ["lab", "run"],
    summary: "make hosts and links out of network namespaces, and run a command in them",
    usage: "[ --in HOST ] FILE [ -- COMMAND ]",
    details: [
      "FILE is a topology in YAML, see `subflow lab example`. COMMAND (a shell when absent) runs on HOST, by default the",
      "first one. SUBFLOW_LAB_<HOST> in its environment are the paths of the namespaces. All is gone when it ends.",
    ],
    options: [{ name: "in", value: "HOST", says: "the host to run the command on" }],
    examples: ["lab run two-paths.yaml", "lab run --in server two-paths.yaml -- ip route"],
    load: () => import("./commands/lab-run.ts"),
  },
  {
    words: ["lab", "example"],
    summary: "print a topology to begin with",
    usage: "",
    examples: ["lab example > two-paths.yaml"],
    load: () => import("./commands/lab-example.ts"),
  },
  {
    words: ["completion"],
    summary: "print a script that completes subflow's words in a shell",
    usage: "bash|zsh|fish",
    vocabulary: ["bash", "zsh", "fish"],
    examples: ["completion bash > /etc/bash_completion.d/subflow"],
    load: () => import("./commands/completion.ts"),
  },
  {
    words: ["help"],
    summary: "explain a command",
    usage: "[ COMMAND ]",
    examples: ["help endpoint add"],
    load: () => import("./commands/help.ts"),
  },
];
