import type { Address } from "../types/index.ts";

/** How one connection attempt from a path ended. */
export type Attempt =
  /** Both ends agreed on MPTCP (the flag FALLBACK of mptcp_info is not set). */
  | { readonly result: "mptcp"; readonly duration: number }
  /** Connected, without MPTCP. */
  | { readonly result: "tcp"; readonly duration: number }
  /** An error of connect(2), a positive errno. */
  | { readonly result: "failed"; readonly errno: number }
  /** No answer in time. */
  | { readonly result: "silence" };

/** What was tried from one local address to one remote. */
export interface PathTrial {
  readonly local: Address;
  readonly device: string;
  readonly remote: Address;
  /** Attempts with MPTCP, one after another. */
  readonly withMptcp: readonly Attempt[];
  /** One with plain TCP, made when one with MPTCP went wrong; undefined: not made, or it could not be bound to the device. */
  readonly plain: Attempt | undefined;
  /** Was a join from this address seen, to a connection begun on another path? undefined: it could not be tried. */
  readonly join: "established" | "none" | undefined;
  /** Why the join could not be tried, or which address it joined. */
  readonly joinNote: string;
}

/** What is certain of a path. */
export interface PathVerdict extends PathTrial {
  readonly verdict: "survives" | "does not survive" | "unknown";
  readonly because: string;
}

/** The attempt twice with the same outcome. */
function twice(attempts: readonly Attempt[], result: Attempt["result"]): boolean {
  return attempts.length >= 2 && attempts.every((attempt) => attempt.result === result);
}

/**
 * Judges each path. Negative verdicts need proof: the host speaks MPTCP on another path, this one failed twice, and plain
 * TCP works on it; otherwise it may be the host, or the path may be dead for everything.
 */
export function judgePaths(trials: readonly PathTrial[]): PathVerdict[] {
  const speaks = (remote: Address): boolean =>
    trials.some((trial) => trial.remote === remote && trial.withMptcp.some(({ result }) => result === "mptcp"));
  return trials.map((trial) => ({ ...trial, ...judge(trial, speaks(trial.remote)) }));
}

function judge({ withMptcp, plain }: PathTrial, speaks: boolean): Pick<PathVerdict, "verdict" | "because"> {
  const unknown = (because: string) => ({ verdict: "unknown" as const, because });
  if (withMptcp.some(({ result }) => result === "mptcp")) {
    return { verdict: "survives", because: "both ends agreed on MPTCP in the handshake" };
  }
  if (withMptcp.length === 0) return unknown("nothing was tried");
  const isPlainFine = plain?.result === "tcp";
  if (twice(withMptcp, "tcp")) {
    if (speaks) {
      return { verdict: "does not survive", because: "plain TCP twice, to a host that speaks MPTCP on another path" };
    }
    return unknown("the host answered with plain TCP: it may have no MPTCP, or this path takes the option out");
  }
  if (twice(withMptcp, "silence") && isPlainFine) {
    if (speaks) {
      return { verdict: "does not survive", because: "no answer twice with MPTCP, where plain TCP gets one" };
    }
    return unknown(
      "no answer with MPTCP, where plain TCP gets one: this path or a firewall of the host drops the option",
    );
  }
  if (plain && plain.result !== "tcp") return unknown("plain TCP does not get through either");
  const last = withMptcp.at(-1)!;
  if (last.result === "failed") return unknown("the connection failed, which says nothing of MPTCP");
  return unknown("the attempts disagree, or plain TCP could not be compared");
}
