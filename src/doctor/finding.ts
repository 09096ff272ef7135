import { flagWords } from "../host/index.ts";
import type { Address, AddressId } from "../types/index.ts";

/** How bad a finding is, from nothing to "no second subflow can exist because of it". */
export const LEVELS = ["ok", "note", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** One step of a fix: a command that a person can type, and that `--fix` can carry out unless it is of the shell. */
export type FixStep =
  | { readonly type: "sysctl"; readonly name: string; readonly value: string }
  | { readonly type: "endpoint.delete"; readonly id: AddressId }
  | {
      readonly type: "endpoint.add";
      readonly address: Address;
      readonly dev: string | undefined;
      readonly port: number;
      readonly flags: number;
    }
  | { readonly type: "limits"; readonly subflows?: number; readonly addAddrAccepted?: number }
  | { readonly type: "shell"; readonly command: string };

/** What a check says of one thing. */
export interface Finding {
  /** Stable; the headings of docs/doctor.md. */
  readonly id: string;
  readonly level: Level;
  readonly seen: string;
  /** Why it matters; "" where nothing is wrong. */
  readonly why: string;
  readonly fix: readonly FixStep[];
  /** The fix harms no connection, decides nothing that is the user's, and can be undone: `--fix` may apply it. */
  readonly safe: boolean;
}

/** A finding as a check writes it: without its id, and unsafe unless it says otherwise. */
export interface Remark {
  readonly level: Exclude<Level, "ok">;
  readonly seen: string;
  readonly why: string;
  readonly fix?: readonly FixStep[];
  readonly safe?: boolean;
}

/** Where a fix is to be done. */
export interface FixPlace {
  /** A name of /run/netns or a path; undefined: where the person is. */
  readonly netns: string | undefined;
  /** The daemon has endpoints and limits, not the kernel. */
  readonly userspace: boolean;
  /** Flags of endpoints that the installed ip(8) takes; undefined: there is none, or it knows nothing of MPTCP. */
  readonly ipFlags: ReadonlySet<string> | undefined;
}

/** A step as a command line, to be typed where the doctor was asked. */
export function fixCommand(step: FixStep, { netns, userspace, ipFlags }: FixPlace): string {
  const words = step.type === "endpoint.add" ? flagWords(step.flags).split(" ").filter(Boolean) : [];
  const isOurs = userspace || ipFlags === undefined || words.some((word) => !ipFlags.has(word));
  const command = commandHere(step, isOurs ? "subflow" : "ip mptcp");
  const isOfNetwork = /^(ip|ip6?tables|nft|sysctl|subflow) /.test(command);
  if (netns === undefined || !isOfNetwork) return command;
  return `${netns.includes("/") ? `nsenter --net=${netns}` : `ip netns exec ${netns}`} ${command}`;
}

function commandHere(step: FixStep, mptcp: string): string {
  switch (step.type) {
    case "sysctl":
      return `sysctl -w ${step.name}=${step.value.includes(" ") ? `"${step.value}"` : step.value}`;
    case "endpoint.delete":
      return `${mptcp} endpoint delete id ${step.id}`;
    case "endpoint.add": {
      const { address, dev, port, flags } = step;
      const words = [address, dev && `dev ${dev}`, port > 0 && `port ${port}`, flagWords(flags)];
      return `${mptcp} endpoint add ${words.filter(Boolean).join(" ")}`;
    }
    case "limits": {
      const { subflows, addAddrAccepted } = step;
      const words = [
        subflows !== undefined && `subflows ${subflows}`,
        addAddrAccepted !== undefined && `add_addr_accepted ${addAddrAccepted}`,
      ];
      return `${mptcp} limits set ${words.filter(Boolean).join(" ")}`;
    }
    case "shell":
      return step.command;
  }
}

/** The worst level of some findings. */
export function worstLevel(findings: readonly Finding[]): Level {
  return findings.reduce<Level>(
    (worst, { level }) => (LEVELS.indexOf(level) > LEVELS.indexOf(worst) ? level : worst),
    "ok",
  );
}
