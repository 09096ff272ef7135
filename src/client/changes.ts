import { setTimeout as sleep } from "node:timers/promises";
import { ControlConnection, DaemonError, ProtocolError } from "../control/index.ts";
import {
  type ControlWatched,
  type Decision,
  type KernelEvent,
  type KernelHappening,
  type Millis,
  SubflowError,
  type Token,
  type ToldHappening,
  type WatchedConnection,
  type WatchKind,
} from "../types/index.ts";

/** What is to be watched, and how. */
export interface WatchOptions {
  /** A name of /run/netns or a path; our own when absent. */
  readonly netns?: string | undefined;
  /** By default all but `kernel`. */
  readonly kinds?: readonly WatchKind[] | undefined;
  /** This connection only. */
  readonly token?: Token | undefined;
  /** Milliseconds from one measurement to the next (200 to 60,000); undefined: figures are those of the last change. */
  readonly pace?: Millis | undefined;
  /** Where the daemon ends, or there is none, another is waited for (the default). */
  readonly reconnects?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a reader is told. */
export type Change =
  /** A connection is new or has changed, and is like this now. */
  | { readonly type: "connection"; readonly connection: WatchedConnection }
  | { readonly type: "gone"; readonly token: Token }
  | { readonly type: "event"; readonly event: KernelHappening }
  | { readonly type: "decision"; readonly decision: Decision }
  /** What the kernel told, attribute by attribute; only where `kernel` was asked for. */
  | { readonly type: "kernel"; readonly told: KernelEvent }
  /** So many events and decisions came faster than they were read. What they led to was told, or will be. */
  | { readonly type: "lost"; readonly count: number }
  /** Everything that there is was told. By the daemon's clock it is `at` now, which is that of events and decisions. */
  | { readonly type: "complete"; readonly at: Millis }
  /** A daemon is there; all that was known is told anew. `isLimited`: only what is the caller's own. */
  | { readonly type: "connected"; readonly isLimited: boolean }
  /** The daemon is gone; what is known is how it was. */
  | { readonly type: "disconnected"; readonly error: SubflowError };

/** A daemon may come at any time. Milliseconds. */
const AGAIN: Millis = 1000;

/**
 * What the daemon of a network namespace shows, from the beginning: first everything that there is, then what changes. The daemon is asked
 * for more only when what it said was taken: who reads slowly loses events (`lost`) and never a state, and nothing piles up on either side.
 * @throws NoDaemonError where there is none and `reconnects` is false; DaemonError, ProtocolError; SubflowError with DENIED or BUSY
 */
export async function* changes(options: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
  const { signal, reconnects = true, netns } = options;
  const known = new Set<Token>();
  let isTold = false;
  const at: Position = { after: undefined };
  while (!signal?.aborted) {
    let connection: ControlConnection | undefined;
    try {
      connection = await ControlConnection.open({ netns, signal });
      isTold = false;
      yield { type: "connected", isLimited: connection.isLimited };
      yield* follow(connection, options, known, at);
    } catch (error) {
      if (signal?.aborted) return;
      if (!reconnects || !isPassing(error)) throw error;
      if (!isTold) yield { type: "disconnected", error };
      isTold = true;
    } finally {
      connection?.close();
    }
    await sleep(AGAIN, undefined, { ...(signal && { signal }) }).catch(() => undefined);
  }
}

/** Another daemon may do better, or this one in a moment. */
function isPassing(error: unknown): error is SubflowError {
  if (error instanceof DaemonError || error instanceof ProtocolError) return false;
  return error instanceof SubflowError && error.code !== "DENIED" && error.code !== "NETNS";
}

/** Up to where the daemon has told: `next` of its last answer. */
interface Position {
  after: string | undefined;
}

function changeOf(told: ToldHappening): Change {
  switch (told.kind) {
    case "event":
      return { type: "event", event: told };
    case "decision":
      return { type: "decision", decision: told };
    case "kernel":
      return { type: "kernel", told };
  }
}

async function* follow(
  connection: ControlConnection,
  { kinds, token, pace }: WatchOptions,
  known: Set<Token>,
  position: Position,
): AsyncGenerator<Change, void, undefined> {
  // Who has no state goes on where it was, if this daemon is the same: what it keeps from there on is told, or how much that was.
  const hasState = kinds === undefined || kinds.includes("connection");
  if (hasState) position.after = undefined;
  /** What was known before a reset and was not told again yet. */
  let doubtful = new Set<Token>();
  for (;;) {
    const answer: ControlWatched = await connection.ask("watch", { after: position.after, kinds, token, pace });
    position.after = answer.next;
    if (answer.reset) doubtful = new Set(known);
    for (const each of answer.connections) {
      known.add(each.token);
      doubtful.delete(each.token);
      yield { type: "connection", connection: each };
    }
    for (const each of answer.gone) {
      doubtful.delete(each);
      if (known.delete(each)) yield { type: "gone", token: each };
    }
    for (const each of answer.happenings) {
      yield changeOf(each);
    }
    if (answer.lost > 0) yield { type: "lost", count: answer.lost };
    if (!answer.isComplete) continue;
    for (const each of doubtful) {
      known.delete(each);
      yield { type: "gone", token: each };
    }
    doubtful.clear();
    yield { type: "complete", at: answer.at };
  }
}
