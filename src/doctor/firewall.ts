/** A rule of a firewall that touches MPTCP's option, drops what conntrack calls invalid, or lets no subflow through an interface. */
export interface FirewallSuspect {
  readonly tool: "nft" | "iptables" | "ip6tables";
  /**
   * "option": TCP option 30 is matched and dropped; "strip": it is taken out; "invalid": state INVALID is dropped;
   * "device": SYNs, or all of TCP, are dropped on certain interfaces, whatever their addresses and ports.
   */
  readonly kind: "option" | "strip" | "invalid" | "device";
  /** With "device": the interfaces, as the rule names them ("eth0", or "eth*"). */
  readonly devices?: readonly string[];
  /** Where and what, for people. */
  readonly rule: string;
  /** How to take the rule away, as far as it is known. */
  readonly remove: string;
}

interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expr?: readonly Record<string, unknown>[];
}

/** IANA number of MPTCP's TCP option (RFC 8684 §3). */
const MPTCP_OPTION = 30;

/** Reads `nft -j list ruleset`. @throws SyntaxError when it is no JSON */
export function readNftables(json: string): FirewallSuspect[] {
  const { nftables } = JSON.parse(json) as { nftables?: readonly { rule?: NftRule }[] };
  return (nftables ?? []).flatMap(({ rule }) => {
    if (!rule) return [];
    const kind = nftKind(rule.expr ?? []);
    const devices = kind ? undefined : nftDevices(rule.expr ?? []);
    if (!kind && !devices) return [];
    const { family, table, chain, handle } = rule;
    const where = `${family} ${table} ${chain}`;
    const found = { rule: `${where} handle ${handle}`, remove: `nft delete rule ${where} handle ${handle}` };
    return [{ tool: "nft", kind: kind ?? "device", ...(devices && { devices }), ...found }];
  });
}

interface NftMatch {
  readonly op?: string;
  readonly left?: unknown;
  readonly right?: unknown;
}

/** Expressions that narrow nothing down. */
const NEUTRAL = ["counter", "log", "drop", "reject", "comment"];

/** The interfaces on which a rule drops every SYN, or every packet of TCP; undefined where it asks for anything else too. */
function nftDevices(expressions: readonly Record<string, unknown>[]): string[] | undefined {
  if (!expressions.some((expression) => "drop" in expression || "reject" in expression)) return undefined;
  let devices: string[] | undefined;
  for (const expression of expressions) {
    if (NEUTRAL.some((name) => name in expression)) continue;
    const match = expression.match as NftMatch | undefined;
    if (!match) return undefined;
    const named = nftInterfaces(match);
    if (named) devices = named;
    else if (!isAboutTcpSyn(match)) return undefined;
  }
  return devices;
}

function nftInterfaces({ op, left, right }: NftMatch): string[] | undefined {
  const key = (left as { meta?: { key?: string } } | undefined)?.meta?.key;
  if (op !== "==" || !["oifname", "iifname", "oif", "iif"].includes(key ?? "")) return undefined;
  const names = (right as { set?: unknown[] } | undefined)?.set ?? [right];
  return names.every((name) => typeof name === "string") ? (names as string[]) : undefined;
}

/** True where a SYN, or TCP at all, is what is matched: `tcp flags syn`, `tcp flags & (syn | ack) == syn`, `meta l4proto tcp`. */
function isAboutTcpSyn({ op, left, right }: NftMatch): boolean {
  if (op === "!=") return false;
  const text = JSON.stringify(left);
  if (/"l4proto"|"protocol":"ip6?","field":"(protocol|nexthdr)"/.test(text)) return right === "tcp" || right === 6;
  if (!/"protocol":"tcp","field":"flags"/.test(text)) return false;
  const flags = typeof right === "string" ? [right] : ((right as { set?: unknown[] }).set ?? right);
  return Array.isArray(flags) && flags.includes("syn") && (op !== "==" || !flags.includes("ack"));
}

function nftKind(expressions: readonly Record<string, unknown>[]): FirewallSuspect["kind"] | undefined {
  // `reset tcp option mptcp` names the option directly; a match has it on its left.
  if (expressions.some(({ reset }) => isMptcpOption(reset))) return "strip";
  if (!expressions.some((expression) => "drop" in expression || "reject" in expression)) return undefined;
  for (const { match } of expressions) {
    const { left, right, op } = (match ?? {}) as { left?: unknown; right?: unknown; op?: string };
    // "missing" and "!=" drop what has no MPTCP: somebody else's traffic.
    if (isMptcpOption(left) && op !== "!=" && right !== false) return "option";
    const isState = (left as { ct?: { key?: string } } | undefined)?.ct?.key === "state";
    if (isState && op !== "!=" && JSON.stringify(right).includes('"invalid"')) return "invalid";
  }
  return undefined;
}

/** nft says `tcp option mptcp ...`, or with a raw kind `tcp option @30,...`. */
function isMptcpOption(expression: unknown): boolean {
  const option = (expression as { "tcp option"?: { name?: string; base?: number } } | undefined)?.["tcp option"];
  return option?.name === "mptcp" || option?.base === MPTCP_OPTION;
}

/** Reads `iptables-save` or `ip6tables-save`. */
export function readIptables(text: string, tool: "iptables" | "ip6tables"): FirewallSuspect[] {
  let table = "filter";
  return text.split("\n").flatMap((line): FirewallSuspect[] => {
    if (line.startsWith("*")) table = line.slice(1).trim();
    if (!line.startsWith("-A ")) return [];
    const kind = iptablesKind(line);
    const device = kind ? undefined : iptablesDevice(line);
    if (!kind && device === undefined) return [];
    const found = { rule: `-t ${table} ${line}`, remove: `${tool} -t ${table} ${line.replace(/^-A/, "-D")}` };
    return [{ tool, kind: kind ?? "device", ...(device !== undefined && { devices: [device] }), ...found }];
  });
}

/** `-A OUTPUT -o eth0 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP`, and nothing that narrows it down further. */
function iptablesDevice(line: string): string | undefined {
  const form =
    /^-A \S+ -[io] (\S+)(?: -p tcp(?: -m tcp(?: --tcp-flags (?:FIN,)?SYN,(?:RST,)?ACK SYN)?)?)?(?: -m comment --comment (?:"[^"]*"|\S+))? -j (?:DROP|REJECT)\b/;
  return form.exec(line)?.[1]?.replace(/\+$/, "*"); // iptables' wildcard
}

function iptablesKind(line: string): FirewallSuspect["kind"] | undefined {
  if (/-j TCPOPTSTRIP.*--strip-options \S*\b(30|mptcp)\b/.test(line)) return "strip";
  if (!/-j (DROP|REJECT)\b/.test(line)) return undefined;
  if (/(?<!! )--tcp-option 30\b/.test(line)) return "option";
  return /(?<!! )--(ct)?state \S*\bINVALID\b/.test(line) ? "invalid" : undefined;
}
