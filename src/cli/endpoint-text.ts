import type { Address, Endpoint, Limits } from "../types/index.ts";
import { flagNames } from "./endpoint-grammar.ts";
import type { Json } from "./json.ts";
import type { Streams } from "./streams.ts";

/** How a name is found for an interface index. */
export type InterfaceName = (index: number) => string;

/** An address in the colour of its family. */
export function paintAddress(paint: Streams["paint"], address: Address | string): string {
  return paint(address.includes(":") ? "inet6" : "inet", address);
}

/** One line of `endpoint show`, as iproute2 prints it, the trailing blank included. */
export function endpointLine(endpoint: Endpoint, interfaceName: InterfaceName, paint: Streams["paint"]): string {
  const { names, unknown } = flagNames(endpoint.flags);
  const words = [paintAddress(paint, endpoint.address)];
  if (endpoint.port) words.push(`port ${endpoint.port}`);
  words.push(`id ${endpoint.id}`, ...names);
  if (unknown) words.push(`rawflags ${unknown.toString(16).padStart(2, "0")}`);
  if (endpoint.interfaceIndex) words.push(`dev ${paint("interface", interfaceName(endpoint.interfaceIndex))}`);
  return `${words.join(" ")} \n`;
}

/** One element of `-j endpoint show`, keys in iproute2's order. */
export function endpointJson(endpoint: Endpoint, interfaceName: InterfaceName): Json {
  const { names, unknown } = flagNames(endpoint.flags);
  return {
    address: endpoint.address,
    port: endpoint.port || undefined,
    id: endpoint.id,
    ...Object.fromEntries(names.map((name) => [name, true])),
    rawflags: unknown ? unknown.toString(16).padStart(2, "0") : undefined,
    dev: endpoint.interfaceIndex ? interfaceName(endpoint.interfaceIndex) : undefined,
  };
}

/** The line of `limits show`, as iproute2 prints it, the trailing blank included. */
export function limitsLine({ addAddrAccepted, subflows }: Limits): string {
  return `add_addr_accepted ${addAddrAccepted} subflows ${subflows} \n`;
}

/** `-j limits show`. */
export function limitsJson({ addAddrAccepted, subflows }: Limits): Json {
  return { add_addr_accepted: addAddrAccepted, subflows };
}
