import type { Context } from "../command.ts";
import { type EndpointWords, parseEndpointWords } from "../endpoint-grammar.ts";
import { EXIT } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { withEndpointTable } from "../target.ts";

/** `endpoint add`. */
export async function run({ words, global, streams }: Context): Promise<number> {
  const interfaces = new Interfaces(global);
  const endpoint = parseEndpointWords("add", words, (name) => interfaces.index(name));
  const { address, id, port, flags, interfaceIndex } = endpoint;
  await withEndpointTable(global, (table) => table.addEndpoint({ address: address!, id, port, flags, interfaceIndex }));
  for (const warning of warnings(endpoint, interfaces)) streams.err(`Warning: ${warning}.\n`);
  return EXIT.success;
}

/** What the kernel takes without a word and is seldom meant. */
export function warnings(
  { address, flags, interfaceIndex }: EndpointWords,
  interfaces: Pick<Interfaces, "holder" | "name">,
): string[] {
  const found: string[] = [];
  const holder = interfaces.holder(address!);
  if (holder === undefined) {
    found.push(`no interface has the address ${address}, so nothing can be sent from it yet`);
  } else if (!interfaceIndex) {
    const name = interfaces.name(holder);
    found.push(`without "dev ${name}" the routing table alone decides which interface ${address} leaves by`);
  } else if (holder !== interfaceIndex) {
    found.push(`${address} belongs to ${interfaces.name(holder)}, not to ${interfaces.name(interfaceIndex)}`);
  }
  if (flags === 0) {
    found.push('an endpoint with no flag is neither announced nor used; add "subflow" (client) or "signal" (server)');
  }
  return found;
}
