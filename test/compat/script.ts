/** How ours differs on purpose from the installed iproute2, and why. */
export interface Difference {
  readonly reason: string;
  /** What ours prints; the other one's output when absent. */
  readonly stdout?: string;
  /** What ours ends with; the other one's status when absent. */
  readonly exitStatus?: number;
  /** Only the words on stderr differ, always allowed in a row that has a difference. */
  readonly stderr?: true;
}

/** One invocation: options before `mptcp`, the words after it. Rows build on each other. */
export interface Invocation {
  readonly options?: readonly string[];
  readonly words: string;
  readonly differs?: Difference;
}

const row = (words: string, differs?: Difference): Invocation => ({ words, ...(differs && { differs }) });
const json = (words: string, differs?: Difference): Invocation => ({ ...row(words, differs), options: ["-j"] });
const pretty = (words: string): Invocation => ({ words, options: ["-j", "-p"] });

const SHORT_HELP = "help is no error: it goes to standard output, with status 0";
const ID_0 = "iproute2 6.1 drops id 0 silently; newer ones refuse it";
const NEWER = "newer than iproute2 6.1, which does not know the word";

/** Run from the first to the last in one namespace with `ip mptcp`, in another with `subflow`. */
export const SCRIPT: readonly Invocation[] = [
  // Nothing there yet.
  row("endpoint"),
  row("endpoint show"),
  json("endpoint"),
  pretty("endpoint"),
  row("limits"),
  row("limits show"),
  row("endpoint flush"),
  row("endpoint show id 1"),
  json("endpoint show id 1"),
  row("endpoint delete id 1"),
  row("endpoint change id 1 backup"),
  // Adding.
  row("endpoint add 10.0.1.1 dev d0 subflow"),
  row("endpoint add 10.0.2.1 dev d1 id 7 signal backup"),
  row("endpoint add 2001:db8::1 dev d0 signal port 8080"),
  row("endpoint"),
  json("endpoint show"),
  pretty("endpoint show"),
  row("endpoint show id 7"),
  json("endpoint show id 7"),
  row("endpoint show id 0x7"),
  row("endpoint show id 07"),
  row("endpoint show id 9"),
  row("endpoint show 10.0.1.1"),
  row("endp s i 1"),
  row("e"),
  row("endpoint a 10.9.9.9 i 20 su"),
  row("endpoint add 10.9.9.9 subflow fullmesh i 20"),
  row("endp show id 20"),
  row("endpoint add 10.8 id 21"),
  row("endpoint show id 21"),
  row("endpoint add 0xa.0x1 id 22 nobackup nofullmesh"),
  row("endpoint show id 22"),
  // Refused by the kernel.
  row("endpoint add 10.0.1.1 subflow"),
  row("endpoint add 10.0.1.9 id 7 subflow"),
  row("endpoint add 10.0.1.9 signal subflow port 80"),
  row("endpoint add 10.0.1.9 implicit", { reason: NEWER, exitStatus: 2 }),
  row("endpoint add any subflow", { reason: "refused in words instead of by a netlink attribute", stderr: true }),
  row("limits set subflows 1000"),
  row("limits set add_addr_accepted 4294967295"),
  row("endpoint change 10.7.7.7 backup"),
  row("endpoint change backup"),
  row("endpoint change id 7 fullmesh"),
  // Refused by iproute2 itself.
  row("endpoint add"),
  row("endpoint add dev d0"),
  row("endpoint add 10.0.1.9 id 256"),
  row("endpoint add 10.0.1.9 id -1"),
  row("endpoint add 10.0.1.9 id x"),
  row("endpoint add 10.0.1.9 id"),
  row("endpoint add 10.0.1.9 dev nosuch0"),
  row("endpoint add 10.0.1.9 dev a-name-that-is-too-long"),
  row("endpoint add 10.0.1.9 dev"),
  row("endpoint add 10.0.1.9 port 80"),
  row("endpoint add 10.0.1.9 port 65536 signal"),
  row("endpoint add 10.0.1.9 signal fullmesh"),
  row("endpoint add 10.0.1.9 fullmesh signal"),
  row("endpoint add 10.0.1.256"),
  row("endpoint add 10.0.1.1.1"),
  row("endpoint add 10.0.1.1/24"),
  row("endpoint add 2001:db8::1::2"),
  row("endpoint add host.example"),
  row("endpoint add 10.0.1.9 --dev d0"),
  row("endpoint delete"),
  row("endpoint delete 10.0.1.1"),
  row("endpoint delete id 1 10.0.1.1"),
  row("endpoint delete id 0"),
  row("endpoint delete id 300"),
  row("endpoint change id 7 signal"),
  row("endpoint change id 7 port 80 backup"),
  row("endpoint show id"),
  row("endpoint frobnicate"),
  row("endpoint help", { reason: SHORT_HELP, stdout: "*", exitStatus: 0 }),
  row("limits set subflows"),
  row("limits set subflows x"),
  row("limits set subflows -1"),
  row("limits set colour 3"),
  row("limits show colour"),
  row("limits frobnicate"),
  row("monitor now"),
  row("frobnicate"),
  row("help", { reason: SHORT_HELP, stdout: "*", exitStatus: 0 }),
  row("", { reason: "the usage names our commands", stderr: true }),
  { options: ["-frobnicate"], words: "endpoint" },
  // Changing.
  row("endpoint change id 1 backup"),
  row("endpoint show id 1"),
  row("endpoint change id 1 fullmesh"),
  row("endpoint show id 1"),
  row("endpoint change id 1 nobackup nofullmesh"),
  row("endpoint show id 1"),
  row("endpoint change 10.0.1.1 backup"),
  row("endpoint show id 1"),
  row("endpoint c id 1 nobackup"),
  row("endpoint"),
  row("limits set subflows 4 add_addr_accepted 3"),
  row("limits"),
  row("limit set sub 1"),
  row("l s a 0"),
  row("limits show"),
  row("limits set"),
  row("limits show subflows 3"),
  row("limits show"),
  json("limits", {
    reason: "iproute2 prints no JSON for limits",
    stdout: '[{"add_addr_accepted":0,"subflows":1}]\n',
  }),
  // Filling up: the kernel's own bound, whichever it is.
  row("endpoint add 10.1.0.1 id 101"),
  row("endpoint add 10.1.0.2 id 102"),
  row("endpoint add 10.1.0.3 id 103"),
  row("endpoint add 10.1.0.4 id 104"),
  row("endpoint add 10.1.0.5 id 105"),
  row("endpoint"),
  // Deleting.
  row("endpoint delete id 101"),
  row("endpoint del id 102"),
  row("endpoint d i 103"),
  row("endpoint delete id 103"),
  row("endpoint delete id 0 10.0.1.1"),
  row("endpoint"),
  row("endpoint add 10.3.0.1 dev if77 id 77"),
  json("endpoint show id 77"),
  row("endpoint show id 77"),
  row("endpoint flush and more"),
  json("endpoint"),
  // What the installed iproute2 is too old for; it leaves the two namespaces different, so it comes last.
  row("endpoint add 10.0.1.9 id 0", { reason: ID_0, exitStatus: 255 }),
  row("endpoint change id 0 backup", { reason: ID_0, exitStatus: 255 }),
  row("endpoint show id 0", { reason: ID_0, exitStatus: 255 }),
  row("endpoint add 10.0.1.1 dev d0 id 5 laminar", { reason: NEWER, exitStatus: 0 }),
  json("endpoint show id 5", {
    reason: NEWER,
    stdout: '[{"address":"10.0.1.1","id":5,"laminar":true,"dev":"d0"}]\n',
    exitStatus: 0,
  }),
  row("endpoint show id 5", { reason: NEWER, stdout: "10.0.1.1 id 5 laminar dev d0 \n", exitStatus: 0 }),
];
