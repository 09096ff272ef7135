import { type Address, errnoText, type Millis, type Path } from "../types/index.ts";
import { formatBytes } from "./delay.ts";
import type { Connection } from "./model.ts";
import { toBeAnnounced, whichLimit, whyNotNow } from "./persist.ts";
import { type AttemptView, isSignal, type LeftOut, type Occasion, type PairView } from "./policy.ts";
import { isElsewhere, planOf } from "./remote/remote.ts";
import type { State } from "./state.ts";
import { opensAtOf } from "./waiting.ts";

/*
 * Why a pair of addresses has no subflow, for policies that wish persistently: it needs no policy to tell, because everything that
 * keeps a wish from coming true is the engine's.
 */

/** For each pair without a subflow, and each endpoint that the peer should know and does not, why. */
export function explainPairs(state: State, connection: Connection): readonly LeftOut[] {
  const { policy, values } = connection.treatment;
  const asked: Occasion = { type: "asked" };
  const plan = isElsewhere(state, connection)
    ? (planOf(state, connection, asked) ?? { subflows: [] })
    : policy.plan(connection, connection.memory, asked, values);
  const known = policy.explain?.(connection, connection.memory) ?? [];
  const isWished = ({ local, remote }: PairView): boolean =>
    plan.subflows.some(({ open }) => open?.local.address === local.address && open.remote.address === remote.address);
  const pairs = connection.pairs
    .filter((pair) => pair.subflows.length === 0)
    .map((pair): LeftOut => {
      const { local, remote } = pair;
      const reason = isWished(pair) ? whyMissing(state, connection, pair) : whyUnwanted(connection, pair, known);
      return { what: "pair", id: local.endpoint, address: local.address, remote: remote.address, ...reason };
    });
  const wanted = toBeAnnounced(connection, plan);
  const unwanted = connection.endpoints.filter((endpoint) => isSignal(endpoint) && !wanted.includes(endpoint));
  return [...pairs, ...unannounced(connection, wanted), ...unannounced(connection, unwanted, policy.name)];
}

type Reason = Pick<LeftOut, "reason" | "remedy">;

/** What the policy holds against the subflow; nothing where it does not say, or lives elsewhere. */
export function objectionTo(connection: Connection, { path }: { readonly path: Path }): { objection?: string } {
  const objection = objectionOf(connection, path.local.address);
  return objection === "" ? {} : { objection };
}

function objectionOf(connection: Connection, local: Address): string {
  const { policy, values } = connection.treatment;
  return policy.objection?.(connection, local, values) ?? "";
}

function whyMissing({ now }: State, connection: Connection, pair: PairView): Reason {
  const { attempt } = pair;
  const limit = whichLimit(connection, pair);
  if (limit !== "") return { reason: limit, remedy: "raise the limit, or wait for a subflow to close" };
  const reason = whyNotNow(connection, pair);
  if (reason !== "") return { reason, remedy: whatEnds(pair) };
  const left = opensAtOf(connection) - now;
  if (left > 0)
    return {
      reason: `the connection is young: subflows are opened ${whenIn(connection, left)} (\`delay\`)`,
      remedy: "wait",
    };
  if (attempt && attempt.retryAt > now) {
    const seconds = Math.max(0.1, (attempt.retryAt - now) / 1000).toFixed(1);
    return { reason: `${failures(attempt)}; tried again in ${seconds} s`, remedy: "wait" };
  }
  return { reason: "it is about to be opened", remedy: "wait" };
}

/** "in 0.3 s, or when it has carried 64kB (12kB so far)". @param left Infinity: only by what it carries */
function whenIn({ treatment, moved }: Connection, left: Millis): string {
  const { bytes } = treatment.delay;
  const time = left === Number.POSITIVE_INFINITY ? [] : [`in ${(left / 1000).toFixed(1)} s`];
  const amount =
    bytes === undefined ? [] : [`when it has carried ${formatBytes(bytes)} (${formatBytes(moved)} so far)`];
  return [...time, ...amount].join(", or ");
}

function whyUnwanted(connection: Connection, pair: PairView, known: readonly LeftOut[]): Reason {
  const { name: policy } = connection.treatment.policy;
  if (pair.blocked !== "") return { reason: pair.blocked, remedy: whatEnds(pair) };
  const told = known.find((left) => left.address === pair.local.address && left.remote === pair.remote.address);
  if (told) return told;
  const objection = objectionOf(connection, pair.local.address);
  if (objection !== "") return { reason: objection, remedy: "it is used again when that is over" };
  const before = pair.attempt?.failures ? `${failures(pair.attempt)}; ` : "";
  return { reason: `${before}policy ${policy} does not want it now`, remedy: "another policy may" };
}

function whatEnds({ remote, attempt }: PairView): string {
  if (attempt?.ended)
    return "it is tried again when the endpoint is added again, or the peer announces the address again";
  return remote.id === 0 ? "the peer must announce another address" : "the peer must announce it again";
}

function failures({ failures: count, errno }: AttemptView): string {
  const end = errno ? `"${errnoText(errno)}"` : "it was closed";
  return count === 1 ? `the last attempt failed: ${end}` : `${count} attempts failed, the last with ${end}`;
}

/** @param policy the one that does not want them announced */
function unannounced(connection: Connection, endpoints: Connection["endpoints"], policy?: string): readonly LeftOut[] {
  return endpoints
    .filter((endpoint) => !connection.isAnnounced(endpoint.id))
    .map((endpoint): LeftOut => {
      const { id, address } = endpoint;
      const reason: Reason = connection.isInitialStill(endpoint)
        ? { reason: "the connection began with this address: the peer knows it", remedy: "nothing needs to be done" }
        : policy
          ? { reason: `policy ${policy} does not announce it`, remedy: "another policy may" }
          : { reason: "waiting its turn: one announcement at a time", remedy: "wait" };
      return { what: "announcement", id, address, ...reason };
    });
}
