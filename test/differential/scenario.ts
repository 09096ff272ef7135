/**
 * One scenario, plain data. A command is a host and words: "client add b subflow backup", "server limits 4 2",
 * "client delete b", "client delete id 0 a", "client change b backup", "server flush", "server denies" (joins to its initial
 * address), "client kill b" (the subflows from there die without a path manager). Letters name links, see commands.ts.
 */
export interface Scenario {
  readonly name: string;
  /** v4 when absent; mapped-server: an IPv4 client, a `::` listener; mapped: the client's socket is IPv6 too. */
  readonly family?: "v4" | "v6" | "mapped-server" | "mapped";
  /** What the service listens on: any address when absent. */
  readonly listens?: "everywhere" | "one address";
  /** Commands before the connection begins, parted by "; ". */
  readonly setup: string;
  /** Commands while data flow, one step after the other. */
  readonly steps?: readonly string[];
  /**
   * The in-kernel path manager of the client leaves a connection on which nothing moves any more: often under traffic, so the steps come
   * between transfers; and now and then all the same.
   */
  readonly kernelMayStall?: boolean;
  /**
   * A port that a subflow has just left is refused (EADDRINUSE) while that is in TIME-WAIT, to either path manager: it is, but now and
   * then it was reset instead (it seems, where data came in that nobody had read). That is chance, so a play in which one of them was refused compares nothing.
   */
  readonly mayRefusePort?: boolean;
  /** Where ours must not be what the kernel's is; see docs/differences.md. */
  readonly differs?: Differences;
}

/** What is different where our path manager has one side, or both. */
export interface Differences {
  /** The heading of docs/differences.md that explains it. */
  readonly because: string;
  /** Kernels before it (seen: 6.1) do as ours does. */
  readonly since?: readonly [number, number];
  /** Which side must be ours for it to show; "both": it takes ours on both. */
  readonly where: "client" | "server" | "both";
  /** Per moment (0: after the connection began, 1: after the first step) the lines that go ("-") and that come ("+"). */
  readonly at: Readonly<Record<number, readonly string[]>>;
}
