import type { ConnectionExplanation } from "../engine/index.ts";
import { formatSocketAddress } from "../types/index.ts";
import type { Streams } from "./streams.ts";
import { formatToken } from "./words.ts";

/** What is there, one line each, then what is not, each with its reason and what would change it. */
export function explanationText({ connection, leftOut }: ConnectionExplanation, paint: Streams["paint"]): string {
  const lines = [
    `${paint("bold", formatToken(connection.token))}  ${connection.side}  policy ${connection.policy}  ` +
      `${formatSocketAddress(connection.initial.local)} → ${formatSocketAddress(connection.initial.remote)}`,
  ];
  if (!connection.owned)
    lines.push("  The in-kernel path manager has this connection; the reasons are read from what can be seen of it.");
  if (connection.planRefused !== "") {
    lines.push(
      `  ${paint("bad", "The policy's last plan was refused, what there was stays:")} ${connection.planRefused}`,
    );
  }
  for (const subflow of connection.subflows) {
    const { local, remote } = subflow.path;
    const from = local.port === 0 ? local.address : formatSocketAddress(local);
    const role = subflow.join ? (subflow.initiated ? "join" : "join of the peer") : "initial";
    const backup = subflow.backup || subflow.backupByPeer ? ", backup" : "";
    lines.push(
      `  ${paint("good", "yes")}  subflow ${from} → ${formatSocketAddress(remote)} (${role}${backup}, ${subflow.state})`,
    );
  }
  for (const { id, address, port } of connection.announced) {
    const where = port === 0 ? address : formatSocketAddress({ address, port });
    lines.push(`  ${paint("good", "yes")}  announced ${where} as id ${id}`);
  }
  for (const { what, id, address, reason, remedy } of leftOut) {
    lines.push(`  ${paint("warning", "no ")}  ${what} ${address} (id ${id}): ${reason}`);
    if (remedy !== "") lines.push(`         ${remedy}`);
  }
  if (leftOut.length === 0 && connection.planRefused === "")
    lines.push("  Nothing is left out: every endpoint and every address of the peer is in use.");
  return lines.map((line) => `${line}\n`).join("");
}
