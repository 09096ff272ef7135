import type { Connection } from "../../types/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";
import { type Standing, standingOf } from "../standing.ts";

const SHOWN_MAX = 5;
const LEVEL = {
  "connection-fallback": "note",
  "connection-without-subflow": "warning",
  "connection-unmanaged": "note",
} as const satisfies Record<Standing["id"], Remark["level"]>;

/** Connections of which {@link standingOf} says so, those of one reason together. */
function remarks(facts: DoctorFacts, id: Standing["id"]): Remark[] {
  const found = new Map<string, { readonly standing: Standing; readonly tokens: string[] }>();
  for (const connection of facts.connections) {
    const standing = standingOf(connection, steeringOf(facts, connection)).find((each) => each.id === id);
    if (!standing) continue;
    const group = found.get(standing.seen) ?? { standing, tokens: [] };
    group.tokens.push(connection.token.toString(16).padStart(8, "0"));
    found.set(standing.seen, group);
  }
  return [...found.values()].map(({ standing: { seen, why, remedy }, tokens }) => ({
    level: LEVEL[id],
    seen: `${tokens.length === 1 ? "a connection" : `each of ${tokens.length} connections`} ${seen}: ${list(tokens)}`,
    why: `${why} Remedy: ${remedy}.`,
  }));
}

function steeringOf({ daemon, managed }: DoctorFacts, { token }: Connection) {
  return { daemon, isManaged: managed?.has(token) };
}

function list(tokens: readonly string[]): string {
  return tokens.length > SHOWN_MAX ? `${tokens.slice(0, SHOWN_MAX).join(", ")}, ...` : tokens.join(", ");
}

/** Connections that are plain TCP by now. */
export function checkConnectionFallback(facts: DoctorFacts): Remark[] {
  return remarks(facts, "connection-fallback");
}

/** Connections that have lost every subflow. */
export function checkConnectionWithoutSubflow(facts: DoctorFacts): Remark[] {
  return remarks(facts, "connection-without-subflow");
}

/** Connections that the daemon does not decide for. */
export function checkConnectionUnmanaged(facts: DoctorFacts): Remark[] {
  return remarks(facts, "connection-unmanaged");
}
