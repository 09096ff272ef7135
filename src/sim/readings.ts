import type { ConnectionMeasured } from "../engine/index.ts";
import type { Millis, SubflowReading } from "../types/index.ts";
import type { SimConnection, SimSubflow } from "./kernel.ts";
import type { Random } from "./random.ts";

/** Figures as a kernel could have them, without memory from one reading to the next: harsher than any kernel is. */
export function readingOf({ token, subflows }: SimConnection, random: Random, now: Millis): ConnectionMeasured {
  const established = subflows.filter(({ state }) => state === "established");
  const bytesReceived = random.chance(0.5) ? 1000 : Math.round(now);
  const readings = established.map((subflow) => subflowReading(subflow, random));
  const outstanding = random.below(1 << 20);
  return {
    type: "connection.measured",
    token,
    isQuiet: random.chance(0.2),
    bytesReceived,
    outstanding,
    subflows: readings,
  };
}

function subflowReading({ path }: SimSubflow, random: Random): SubflowReading {
  const isSilent = random.chance(0.3);
  const since = isSilent ? random.below(60_000) : random.below(50);
  const bytes = isSilent ? 1000 : 1000 + random.below(1 << 20);
  return {
    path,
    state: "established",
    rtt: 1 + random.below(100),
    rttVar: random.below(20),
    rto: 200,
    unacked: isSilent ? random.below(20) : 0,
    lost: 0,
    retransmits: 0,
    backoff: 0,
    bytesSent: bytes,
    bytesAcked: bytes,
    bytesReceived: random.below(1 << 20),
    bytesRetransmitted: random.chance(0.1) ? bytes / 2 : 0,
    deliveryRate: 1e6,
    mss: 1400,
    sinceSent: random.below(100),
    sinceAck: since,
    sinceReceived: since,
  };
}
