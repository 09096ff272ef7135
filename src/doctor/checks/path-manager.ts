import { type Endpoint, sameAddress } from "../../types/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { FixStep, Remark } from "../finding.ts";

/** By whichever sysctl this kernel has (net.mptcp.path_manager since Linux 6.15). */
function choose(facts: DoctorFacts, name: "kernel" | "userspace"): FixStep {
  if (facts.sysctls.has("net.mptcp.path_manager"))
    return { type: "sysctl", name: "net.mptcp.path_manager", value: name };
  return { type: "sysctl", name: "net.mptcp.pm_type", value: name === "kernel" ? "0" : "1" };
}

/** Userspace is in charge: is anybody there? */
export function checkPathManagerAbsent(facts: DoctorFacts): Remark[] {
  if (facts.pathManager !== "userspace" || facts.daemon === "userspace" || facts.eventListener !== false) return [];
  return [
    {
      level: "error",
      seen: "net.mptcp.path_manager is userspace, and no process here listens to its events",
      why: "No subflow is opened, joins of peers are rejected, announcements stay unanswered. Start `subflow run`, or give the kernel's path manager the charge of new connections.",
      fix: [choose(facts, "kernel")],
      safe: true,
    },
  ];
}

/** Endpoints that nobody reads. Our daemon's port endpoints stand there for their listeners, and are read in its own table. */
export function checkPathManagerEndpoints(facts: DoctorFacts): Remark[] {
  const idle = facts.kernelEndpoints.filter((endpoint) => !isListener(facts, endpoint));
  const count = idle.length;
  if (facts.pathManager !== "userspace" || count === 0) return [];
  const fix: FixStep[] =
    facts.daemon === "userspace"
      ? idle.map(({ id }) => ({ type: "shell", command: `ip mptcp endpoint delete id ${id}` }))
      : [choose(facts, "kernel")];
  return [
    {
      level: "warning",
      seen: `the kernel's table has ${count} endpoint${count === 1 ? "" : "s"} while the userspace path manager is in charge`,
      why: "New connections do not use the kernel's table; endpoints given to `ip mptcp` or by NetworkManager have no effect.",
      fix,
    },
  ];
}

function isListener({ daemon, endpoints }: DoctorFacts, { address, port }: Endpoint): boolean {
  if (daemon !== "userspace" || port === 0) return false;
  return endpoints.some((ours) => ours.port === port && sameAddress(ours.address, address));
}

/** Our daemon believes to be in charge, and is not, or the other way round. */
export function checkPathManagerMismatch(facts: DoctorFacts): Remark[] {
  const { daemon, pathManager } = facts;
  if (daemon === undefined || pathManager === undefined || daemon === pathManager) return [];
  return [
    {
      level: "error",
      seen: `the daemon works with the ${daemon} path manager, but new connections get the ${pathManager} one`,
      why: "Somebody changed net.mptcp.path_manager (or pm_type) after the daemon started: new connections are not managed by it.",
      fix: [choose(facts, daemon)],
      safe: true,
    },
  ];
}

/** Several programs that write into one table. */
export function checkRivals(facts: DoctorFacts): Remark[] {
  const rivals = facts.managers.filter(
    ({ name }, index) => facts.managers.findIndex((other) => other.name === name) === index,
  );
  const names = rivals.map(({ name }) => name);
  if (facts.daemon !== undefined) names.push("subflow");
  const [last] = rivals.filter(({ name }) => name === "mptcpd").concat(rivals);
  if (names.length < 2 || !last) return [];
  return [
    {
      // NetworkManager adds to the table what it is told to, and Subflow leaves that alone.
      level: names.includes("mptcpd") ? "warning" : "note",
      seen: `${names.join(" and ")} both manage endpoints here`,
      why: "They add, delete and limit in the same table without knowing of each other: endpoints appear twice, or disappear.",
      fix: [{ type: "shell", command: last.command }],
    },
  ];
}
