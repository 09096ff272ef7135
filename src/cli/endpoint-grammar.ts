import { type Address, ENDPOINT_FLAG } from "../types/index.ts";
import { CommandError, EXIT, incompleteCommand, missingArgument, refused, wrongArgument } from "./failure.ts";
import { abbreviates, parseLooseAddress, unsignedArgument } from "./words.ts";

/** Which endpoint command the words belong to; each forbids something else. */
export type EndpointVerb = "add" | "change" | "delete" | "show";

/** What the words of an endpoint command say; a word that was not there is undefined. */
export interface EndpointWords {
  readonly address: Address | undefined;
  readonly id: number | undefined;
  readonly port: number | undefined;
  /** Sum of ENDPOINT_FLAG bits. */
  readonly flags: number;
  readonly interfaceIndex: number | undefined;
}

/** The flag words of ip-mptcp(8); they are never abbreviated. The negations are 0: a flag that is absent is cleared. */
const FLAG_WORDS: Readonly<Record<string, number>> = { ...ENDPOINT_FLAG, nobackup: 0, nofullmesh: 0 };
const CHANGEABLE = ENDPOINT_FLAG.backup | ENDPOINT_FLAG.fullmesh;

/** The words that iproute2 takes for "no particular address"; no endpoint can have it. */
const ANY_ADDRESS = ["default", "any", "all"];

/**
 * Reads the words behind `endpoint add`, `change`, `delete` and `show` as ip-mptcp(8) does: same abbreviations, same
 * numbers, same refusals in the same order. `interfaceIndex` finds an interface by name.
 */
export function parseEndpointWords(
  verb: EndpointVerb,
  words: readonly string[],
  interfaceIndex: (name: string) => number | undefined,
): EndpointWords {
  const read: { -readonly [K in keyof EndpointWords]: EndpointWords[K] } = {
    address: undefined,
    id: undefined,
    port: undefined,
    flags: 0,
    interfaceIndex: undefined,
  };
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const flag = Object.hasOwn(FLAG_WORDS, word) ? FLAG_WORDS[word] : undefined;
    if (flag !== undefined) {
      read.flags |= flag;
      checkFlagWord(verb, read.flags, word);
      continue;
    }
    const key = ["id", "dev", "port"].find((candidate) => abbreviates(word, candidate));
    if (key === undefined) {
      read.address = addressWord(word);
      continue;
    }
    const value = words[++index];
    if (value === undefined) throw incompleteCommand();
    if (key === "id") read.id = unsignedArgument(value, 0xff, "invalid ID");
    else if (key === "port") read.port = unsignedArgument(value, 0xffff, "expected port");
    else read.interfaceIndex = interfaceWord(value, interfaceIndex);
  }
  checkTogether(verb, read);
  return read;
}

/** The names of the set flags, in the order of ip-mptcp(8), and the bits that have no name. */
export function flagNames(flags: number): { names: string[]; unknown: number } {
  const names: string[] = [];
  let unknown = flags;
  for (const [name, bit] of Object.entries(ENDPOINT_FLAG)) {
    if (flags & bit) names.push(name);
    unknown &= ~bit;
  }
  return { names, unknown: unknown >>> 0 };
}

function checkFlagWord(verb: EndpointVerb, flags: number, word: string): void {
  if (verb === "add" && flags & ENDPOINT_FLAG.signal && flags & ENDPOINT_FLAG.fullmesh) {
    throw wrongArgument(word, "flags mustn't have both signal and fullmesh");
  }
  if (verb === "change" && flags & ~CHANGEABLE) {
    throw wrongArgument(word, "invalid flags, backup and fullmesh only");
  }
}

function addressWord(word: string): Address {
  if (ANY_ADDRESS.includes(word)) throw refused(`an endpoint needs one address, not "${word}"`);
  const address = parseLooseAddress(word);
  if (address !== undefined) return address;
  // Status 1, not 255: so does iproute2, whose address parser ends the process by itself.
  throw new CommandError(`Error: any valid address is expected rather than "${word}".`, {
    code: "USAGE",
    exitStatus: EXIT.failure,
  });
}

function interfaceWord(name: string, interfaceIndex: (name: string) => number | undefined): number {
  // dev_valid_name() in net/core/dev.c: at most 15 bytes, no slash, no white space, not "." or "..".
  if (!/^[^/\s]{1,15}$/.test(name) || /^\.\.?$/.test(name)) throw wrongArgument(name, "invalid interface name");
  const index = interfaceIndex(name);
  if (!index) throw wrongArgument(name, "device does not exist");
  return index;
}

function checkTogether(verb: EndpointVerb, { address, id, port, flags }: EndpointWords): void {
  if (verb === "add" && address === undefined) throw missingArgument("ADDRESS");
  if (verb === "delete") {
    if (id === undefined) throw missingArgument("ID");
    if (id !== 0 && address !== undefined) throw wrongArgument("ADDRESS", "invalid for non-zero id address");
    if (id === 0 && address === undefined) throw wrongArgument("ID", "address is needed for deleting id 0 address");
  } else if (id === 0) {
    throw wrongArgument("ID", "cannot be 0");
  }
  if (verb === "change" && id !== undefined && port) throw wrongArgument("port", "port can't be used with id");
  if (verb !== "add") return;
  if (port && !(flags & ENDPOINT_FLAG.signal)) {
    throw wrongArgument("port", "flags must have signal when using port");
  }
  // What follows iproute2 lets pass and the kernel refuses (mptcp_pm_nl_add_addr_doit, net/mptcp/pm_kernel.c).
  if (port && flags & ENDPOINT_FLAG.subflow) {
    throw refused("flags must have signal and not subflow when using port");
  }
  if (flags & ENDPOINT_FLAG.implicit) throw refused("can't create IMPLICIT endpoint");
}
