import type { Millis, SubflowReading } from "../types/index.ts";
import type { ConnectionMeasured } from "./events.ts";
import type { Connection } from "./model.ts";
import type { Measured } from "./policy.ts";
import { samePath } from "./policy.ts";

/*
 * What is remembered of readings: when something was heard, and since when nothing moves. Readings come only while somebody wants them, so
 * the first one of a subflow has to tell as much as it can by itself.
 */

/** Notes a reading of a connection. */
export function note(connection: Connection, { bytesReceived, subflows }: ConnectionMeasured): void {
  const { now } = connection;
  let bySubflows = 0;
  for (const reading of subflows) {
    const subflow = connection.subflows.find(({ path }) => samePath(path, reading.path));
    bySubflows += reading.bytesReceived;
    if (subflow) subflow.measured = measuredOf(reading, subflow.measured, now);
  }
  const before = connection.received;
  const stands = before?.inOrder === bytesReceived;
  const isHole = stands && (before.holeSince !== undefined || bySubflows > before.bySubflows);
  const holeSince = isHole ? (before.holeSince ?? before.at) : undefined;
  connection.received = { inOrder: bytesReceived, bySubflows, holeSince, at: now };
}

function measuredOf(reading: SubflowReading, before: Measured | undefined, now: Millis): Measured {
  const { sinceSent, sinceAck, sinceReceived } = reading;
  const stuckSince = reading.unacked === 0 ? undefined : stuck(reading, before, now);
  // A probe may have been heard of meanwhile.
  const heardAt = Math.max(before?.heardAt ?? 0, now - Math.min(sinceAck, sinceReceived));
  const receivedAt = now - sinceReceived;
  // Named one by one: what is left of an object (`...figures`) is made slowly, and this is done for each subflow of each dump.
  return {
    at: now,
    rtt: reading.rtt,
    rttVar: reading.rttVar,
    rto: reading.rto,
    backoff: reading.backoff,
    unacked: reading.unacked,
    lost: reading.lost,
    retransmits: reading.retransmits,
    bytesSent: reading.bytesSent,
    bytesAcked: reading.bytesAcked,
    bytesReceived: reading.bytesReceived,
    bytesRetransmitted: reading.bytesRetransmitted,
    deliveryRate: reading.deliveryRate,
    busy: reading.busy,
    heardAt,
    receivedAt,
    usedAt: Math.max(receivedAt, now - sinceSent),
    stuckSince,
  };
}

/** So exact is what the kernel counts in its ticks (CONFIG_HZ 250; coarser ones are rare). */
const TICK: Millis = 4;

/**
 * Since when what is on its way there has led to nothing at all: an acknowledgement that only repeats another (a segment was lost, the next
 * ones arrive) is a sign of life too.
 */
function stuck(
  { sinceAck, sinceReceived, sinceSent, busy }: SubflowReading,
  before: Measured | undefined,
  now: Millis,
): Millis {
  // An idle subflow's last acknowledgement is old, and what is on its way now was sent later: after the last look, or just now.
  const waitsSince = before?.stuckSince ?? before?.at ?? now - sinceSent;
  // Since the last look something was on its way for so long in all, and what is on its way now for no longer.
  const busyFor =
    busy === undefined || before?.busy === undefined ? Number.POSITIVE_INFINITY : busy - before.busy + TICK;
  const isNew = before?.stuckSince === undefined;
  return Math.max(waitsSince, isNew ? now - busyFor : 0, now - Math.min(sinceAck, sinceReceived));
}
