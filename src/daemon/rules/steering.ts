import type { Config } from "../../config/index.ts";
import type { ControlFailure } from "../../types/index.ts";

/** The policies that programs of other users may ask for, of connections of their own: `applications: { steer: [...] }`. */
export function steerable({ applications }: Pick<Config, "applications">): readonly string[] {
  return typeof applications === "string" ? [] : applications.steer;
}

/** Why somebody may not ask for a policy; undefined: it is one of those that they may. */
export function refusalOf(policy: string, allowed: readonly string[]): ControlFailure | undefined {
  if (allowed.includes(policy)) return undefined;
  const message =
    allowed.length === 0
      ? "policy.set is for root and the daemon's group, unless the configuration lets applications steer (`applications: { steer: [...] }`)"
      : `applications may ask for ${allowed.join(", ")} here, and not for ${policy}; the configuration says so (\`applications\`)`;
  return { code: "DENIED", message };
}

/** Of a connection that there is not, and of somebody else's: neither is told from the other. */
export const NOT_YOURS: ControlFailure = { code: "DENIED", message: "no connection of yours has this token" };
