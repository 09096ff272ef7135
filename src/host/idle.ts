import type { HostPlan } from "./plan.ts";

/** Addresses that every interface has and nobody means: they are no news. */
const LINK_LOCAL = /^fe[89ab][0-9a-f]:/;

/** Why a plan has no endpoint, a line each, with what would change it; none where it has some. */
export function idleReasons({ endpoints, leftOut }: HostPlan, automatic: boolean): string[] {
  if (endpoints.length > 0) return [];
  const known = leftOut.filter(({ what }) => !LINK_LOCAL.test(what));
  if (known.length > 0) {
    const lines = known.map(({ what, reason, remedy }) => `${what}: ${reason}${remedy === "" ? "" : `; ${remedy}`}`);
    return ["there is no endpoint to set, so connections keep to one path; left out are:", ...lines];
  }
  return [
    automatic
      ? "there is no endpoint to set, so connections keep to one path: no interface has an address that could be one"
      : "there is no endpoint to set, so connections keep to one path: `automatic` is off, and no endpoint is configured",
  ];
}
