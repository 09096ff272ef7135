import {
  type Decision,
  errnoText,
  formatSocketAddress,
  type Happening,
  type KernelHappening,
  type Path,
} from "../types/index.ts";

/** Reason codes of MP_TCPRST (RFC 8684 section 3.6). */
const RESET_REASONS = [
  "no reason given",
  "an MPTCP error",
  "lack of resources",
  "administratively prohibited",
  "too much outstanding data",
  "unacceptable performance",
  "a middlebox interferes",
];

/** The interface behind a local end; undefined: nobody has that address (any more). */
export type InterfaceOf = (local: Path["local"], interfaceIndex: number | undefined) => string | undefined;

/** What happened, as one says it. */
export function happeningWords(happening: Happening, interfaceOf: InterfaceOf): string {
  return happening.kind === "event" ? eventWords(happening, interfaceOf) : decisionWords(happening, interfaceOf);
}

function eventWords(event: KernelHappening, interfaceOf: InterfaceOf): string {
  const { path } = event;
  switch (event.type) {
    case "connection.created":
      return `a connection begins: ${pathWords(path)}`;
    case "connection.established":
      return `the connection is established: ${pathWords(path)}`;
    case "connection.closed":
      return "the connection is over";
    case "subflow.established": {
      const wish = event.backup ? ", the peer wants it as backup" : "";
      return `subflow${over(event, interfaceOf)} established: ${pathWords(path)}${wish}`;
    }
    case "subflow.closed":
      return `subflow${over(event, interfaceOf)} closed: ${pathWords(path)}${causeWords(event)}`;
    case "subflow.priority":
      return `the peer makes the subflow${over(event, interfaceOf)} ${event.backup ? "backup" : "a normal one"}: ${pathWords(path)}`;
    case "address.announced":
      return `the peer announces ${ended(event.address ?? "?", event.port ?? 0)} (id ${event.remoteId})`;
    case "listener.created":
    case "listener.closed": {
      const where = path ? ended(path.local.address, path.local.port) : "?";
      return `a socket ${event.type === "listener.created" ? "listens" : "no longer listens"} at ${where}`;
    }
    case "address.removed":
      return `the peer takes its address with id ${event.remoteId} back`;
    default:
      return event.type;
  }
}

/** Why a subflow is closed: what its socket said, and what the peer said. */
function causeWords({ errno, resetReason }: KernelHappening): string {
  const causes = [
    ...(errno ? [errnoText(errno).replace(/^./, (letter) => letter.toLowerCase())] : []),
    ...(resetReason ? [`the peer says: ${RESET_REASONS[resetReason] ?? `reason ${resetReason}`}`] : []),
  ];
  return causes.length === 0 ? "" : `, ${causes.join("; ")}`;
}

function decisionWords(decision: Decision, interfaceOf: InterfaceOf): string {
  const because = decision.because === "" ? "" : `, because: ${decision.because}`;
  return `${deedWords(decision, interfaceOf)}${because}`;
}

function deedWords(decision: Decision, interfaceOf: InterfaceOf): string {
  const { type, local, remote, localId, backup, text } = decision;
  const path = local && remote && { local, remote };
  const where = path ? over({ path }, interfaceOf) : "";
  switch (type) {
    case "subflow.create":
      return `we open a subflow${where}: ${pathWords(path)}${backup ? " as backup" : ""}`;
    case "subflow.destroy":
      return `we close the subflow${where}: ${pathWords(path)}`;
    case "subflow.setBackup":
      return `we make the subflow${where} ${backup ? "backup" : "a normal one"}: ${pathWords(path)}`;
    case "address.announce":
      return `we announce ${local ? ended(local.address, local.port) : "?"} (id ${localId})${backup ? " as backup" : ""}`;
    case "address.remove":
      return `we take our address with id ${localId} back`;
    default:
      return text;
  }
}

function over(
  { path, interfaceIndex }: Pick<KernelHappening, "path" | "interfaceIndex">,
  interfaceOf: InterfaceOf,
): string {
  const name = path && interfaceOf(path.local, interfaceIndex);
  return name === undefined ? "" : ` over ${name}`;
}

function pathWords(path: Path | undefined): string {
  if (!path) return "?";
  const { local, remote } = path;
  return `${ended(local.address, local.port)} → ${formatSocketAddress(remote)}`;
}

function ended(address: string, port: number): string {
  return port === 0 ? address : formatSocketAddress({ address: address as Path["local"]["address"], port });
}
