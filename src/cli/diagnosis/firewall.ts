import { spawnSync } from "node:child_process";
import { type DoctorFacts, type FirewallSuspect, readIptables, readNftables } from "../../doctor/index.ts";
import type { Looking } from "./looking.ts";

/** A huge ruleset takes a second; what takes longer hangs. Milliseconds. */
const DEADLINE = 10_000;
const OUTPUT_MAX = 64 << 20;

/** Rules of every firewall tool that is installed and may be asked. */
export function readFirewall(looking: Looking): Pick<DoctorFacts, "firewall" | "isFirewallKnown"> {
  const before = looking.notLooked.length;
  const found = [
    ask(looking, "nft", ["-j", "list", "ruleset"], readNftables),
    ask(looking, "iptables-save", [], (text) => readIptables(text, "iptables")),
    ask(looking, "ip6tables-save", [], (text) => readIptables(text, "ip6tables")),
  ];
  // Each kernel has rules of one kind or the other: one tool that is missing is as good as no rules of its kind.
  if (found.every((rules) => rules === undefined))
    looking.skip("firewall rules", "neither nft nor iptables-save is installed");
  return { firewall: found.flatMap((rules) => rules ?? []), isFirewallKnown: looking.notLooked.length === before };
}

/** The suspects among its rules; undefined when the tool is not installed. */
function ask(
  looking: Looking,
  program: string,
  words: readonly string[],
  read: (text: string) => FirewallSuspect[],
): FirewallSuspect[] | undefined {
  const { stdout, stderr, status, error } = spawnSync(program, words, {
    encoding: "utf8",
    timeout: DEADLINE,
    maxBuffer: OUTPUT_MAX,
    // System tools are often not on a user's path.
    env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return undefined;
  const what = `firewall rules of ${program}`;
  if (error || status !== 0) {
    looking.skip(what, (error?.message ?? stderr).trim().split("\n")[0] || `status ${status}`);
    return [];
  }
  return looking.at(what, () => (stdout === "" ? [] : read(stdout)), []);
}
