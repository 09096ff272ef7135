import { readSync } from "node:fs";
import { ask } from "../../control/index.ts";
import type { FixStep } from "../../doctor/index.ts";
import { MptcpPm, Rtnl, writeSysctl } from "../../netlink/index.ts";
import { failure } from "../failure.ts";

/** Carries one step out, in the process's own network namespace, by netlink and /proc; no other program is needed. */
export async function applyStep(step: FixStep, { userspace }: { readonly userspace: boolean }): Promise<void> {
  if (step.type === "sysctl") return writeSysctl(step.name, step.value);
  if (step.type === "shell") throw failure(`Error: this is for a person to run: ${step.command}`);
  if (userspace) return applyAtDaemon(step);
  using pm = MptcpPm.open();
  switch (step.type) {
    case "endpoint.delete":
      return pm.deleteEndpoint({ id: step.id });
    case "endpoint.add":
      return pm.addEndpoint({ ...endpointOf(step) });
    case "limits":
      return pm.setLimits(step);
  }
}

type TableStep = Exclude<FixStep, { type: "sysctl" | "shell" }>;

async function applyAtDaemon(step: TableStep): Promise<void> {
  switch (step.type) {
    case "endpoint.delete":
      await ask("endpoint.delete", { id: step.id });
      return;
    case "endpoint.add":
      await ask("endpoint.add", endpointOf(step));
      return;
    case "limits":
      await ask("limits.set", { subflows: step.subflows, addAddrAccepted: step.addAddrAccepted });
  }
}

function endpointOf({ address, dev, port, flags }: Extract<FixStep, { type: "endpoint.add" }>) {
  using rtnl = Rtnl.open();
  const interfaceIndex = rtnl.links().find(({ name }) => name === dev)?.index;
  return { address, flags, ...(port > 0 && { port }), ...(interfaceIndex !== undefined && { interfaceIndex }) };
}

/** Reads an answer from the terminal: "y" and "yes" are one, everything else and the end of input are none. */
export function readYes(): boolean {
  const bytes = new Uint8Array(64);
  try {
    const length = readSync(0, bytes);
    return /^y(es)?$/i.test(Buffer.from(bytes.subarray(0, length)).toString().trim());
  } catch {
    return false; // no standard input
  }
}
