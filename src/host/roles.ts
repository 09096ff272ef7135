import { type Address, ENDPOINT_FLAG, matchesPattern } from "../types/index.ts";
import type { HostConfig, InterfaceMatch, Role } from "./config.ts";
import type { HostLink } from "./facts.ts";
import { type Quota, quotaStage, quotaText } from "./quota.ts";

/** A role and where it comes from. */
export interface Assignment {
  readonly role: Role;
  readonly alsoWithoutDefaultRoute: boolean;
  readonly announceAs?: Address | undefined;
  /** What is sent there costs money. */
  readonly metered: boolean;
  /** What it costs, in units of the administrator's own; undefined: nothing. */
  readonly cost?: number | undefined;
  readonly quota?: Quota | undefined;
  /** Its quota is used up: whatever its role, it carries data only when nothing else can. */
  readonly isSpent?: boolean;
  /** For people: "rule 2 of interfaces", "a bridge is ignored". */
  readonly because: string;
}

function fits({ name, kind, connection }: InterfaceMatch, link: HostLink): boolean {
  if (name !== undefined && !matchesPattern(name, link.name)) return false;
  if (kind !== undefined && kind !== link.interfaceKind) return false;
  if (connection === undefined) return true;
  return link.connection !== undefined && matchesPattern(connection, link.connection);
}

/** Interfaces that are no path of their own unless a rule says so. */
const IGNORED: ReadonlySet<string> = new Set(["container", "bridge", "vpn", "loopback"]);

/** The role of an interface as its quota leaves it. @param used bytes of the period; undefined: nothing is known of any */
export function assignRole(config: HostConfig, link: HostLink, used?: number): Assignment {
  const assignment = assignByRule(config, link);
  const { quota, role } = assignment;
  if (!quota || used === undefined || role === "off") return assignment;
  const stage = quotaStage(quota, used);
  if (stage !== "backup" && stage !== "off") return assignment;
  const because = `its quota of ${quotaText(quota)} is used up (${assignment.because})`;
  return stage === "off" ? { ...assignment, role: "off", because } : { ...assignment, isSpent: true, because };
}

/** The first rule that fits, else the profile's. */
function assignByRule(config: HostConfig, link: HostLink): Assignment {
  const index = config.interfaces.findIndex(({ match }) => fits(match, link));
  const rule = config.interfaces[index];
  const metered = rule?.metered ?? link.interfaceKind === "cellular";
  if (rule) {
    const because = `rule ${index + 1} of interfaces`;
    const { role, alsoWithoutDefaultRoute, announceAs, cost, quota } = rule;
    return { role, alsoWithoutDefaultRoute, announceAs, metered, cost, quota, because };
  }
  if (IGNORED.has(link.interfaceKind)) {
    return {
      role: "off",
      alsoWithoutDefaultRoute: false,
      metered,
      because: `${link.interfaceKind} interfaces are ignored unless a rule names them`,
    };
  }
  if (link.master !== 0) {
    return { role: "off", alsoWithoutDefaultRoute: false, metered, because: "it is a port of another interface" };
  }
  const role = config.profile === "server" ? "signal" : "subflow";
  return { role, alsoWithoutDefaultRoute: false, metered, because: `profile ${config.profile}` };
}

const { signal, subflow, backup, fullmesh, laminar } = ENDPOINT_FLAG;

/**
 * The endpoint flags of a role. A client's endpoints get `laminar` too where the kernel has it (as NetworkManager's
 * do since 1.56): an announced address is then joined from the endpoint beside it, not from wherever routing points.
 */
export function roleFlags(role: Role, hasLaminar: boolean): number {
  switch (role) {
    case "primary":
    case "subflow":
      return subflow | (hasLaminar ? laminar : 0);
    case "backup":
      return subflow | backup;
    case "signal":
      return signal;
    case "fullmesh":
      return subflow | fullmesh;
    case "laminar":
      return laminar;
    case "off":
      return 0;
  }
}

/** Of a role whose quota may be used up: `backup` alone comes and goes, for the kernel closes the subflows of an endpoint whose other flags change. */
export function assignedFlags({ role, isSpent }: Assignment, hasLaminar: boolean): number {
  return roleFlags(role, hasLaminar) | (isSpent ? backup : 0);
}

/** Who goes first where there is not room for all: lower first. */
export function roleRank(role: Role): number {
  return { primary: 0, subflow: 1, fullmesh: 1, signal: 1, laminar: 2, backup: 3, off: 9 }[role];
}
