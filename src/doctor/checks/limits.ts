import { coverageTexts } from "../../host/index.ts";
import { AF_INET6, ENDPOINT_FLAG, familyOf } from "../../types/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";
import { OPENS } from "../view.ts";

const { signal } = ENDPOINT_FLAG;
/** Servers with more addresses are seldom, and need no note. */
const USUAL = { denies: [false], addresses: 2 };

/** Room for a subflow from each endpoint. */
export function checkLimitSubflows({ limits, endpoints }: DoctorFacts): Remark[] {
  if (!limits) return [];
  const opening = endpoints.filter(({ flags }) => flags & OPENS);
  // A connection is of one family, and its initial subflow has one of the addresses and does not count.
  const v6 = opening.filter(({ address }) => familyOf(address) === AF_INET6).length;
  const usable = Math.max(v6, opening.length - v6);
  const needed = Math.max(0, usable - 1);
  const announces = endpoints.some(({ flags }) => flags & signal);
  if (limits.subflows === 0 && (opening.length > 0 || announces)) {
    return [
      {
        level: "error",
        seen: `the limit of subflows is 0, with ${endpoints.length} endpoint${endpoints.length === 1 ? "" : "s"}`,
        why: "No further subflow may exist, neither of ours nor of the peer's.",
        fix: [{ type: "limits", subflows: Math.max(2, needed) }],
        safe: true,
      },
    ];
  }
  if (limits.subflows >= needed) return [];
  return [
    {
      level: "warning",
      seen: `the limit of subflows is ${limits.subflows}, and ${usable} endpoints open subflows`,
      why: `The last ${needed - limits.subflows} of them stay unused in connections where the first ones work.`,
      fix: [{ type: "limits", subflows: needed }],
      safe: true,
    },
  ];
}

/** Announcements of servers that are not followed. */
export function checkLimitAddAddr({ limits, counters, pathManager }: DoctorFacts): Remark[] {
  const announced = counters.AddAddr ?? 0;
  if (!limits || pathManager !== "kernel" || limits.addAddrAccepted > 0) return [];
  // Who has not opened a connection is no client: a server need not follow its clients' announcements.
  if (announced === 0 || (counters.MPCapableSYNTX ?? 0) === 0) return [];
  const joined = (counters.MPJoinSynTx ?? counters.MPJoinSynAckRx ?? 0) > 0;
  return [
    {
      level: joined ? "note" : "warning",
      seen: `peers announced ${announced} address${announced === 1 ? "" : "es"}, and add_addr_accepted is 0`,
      why: "Announced addresses of servers are ignored: no subflow goes to their other interfaces.",
      fix: [{ type: "limits", addAddrAccepted: Math.max(1, limits.subflows) }],
      safe: true,
    },
  ];
}

/** Addresses that get no subflow, because the in-kernel algorithm does not see which pairs matter. */
export function checkCoverage({ limits, endpoints, pathManager }: DoctorFacts): Remark[] {
  if (!limits || pathManager !== "kernel" || limits.subflows === 0 || limits.addAddrAccepted === 0) return [];
  return coverageTexts(endpoints, limits, USUAL).map((text) => ({
    level: "note",
    seen: text,
    why: "The in-kernel path manager does not choose pairs. What it leaves out is no way out when another address is lost. `path_manager: userspace` covers it, `fullmesh` endpoints and higher limits often.",
  }));
}
