/** A rule of a firewall that touches MPTCP's option, or drops what conntrack calls invalid. */
export interface FirewallSuspect {
  readonly tool: "nft" | "iptables" | "ip6tables";
  /** "option": TCP option 30 is matched and dropped; "strip": it is taken out; "invalid": state INVALID is dropped. */
  readonly kind: "option" | "strip" | "invalid";
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
    const kind = rule && nftKind(rule.expr ?? []);
    if (!rule || !kind) return [];
    const { family, table, chain, handle } = rule;
    const where = `${family} ${table} ${chain}`;
    return [
      { tool: "nft", kind, rule: `${where} handle ${handle}`, remove: `nft delete rule ${where} handle ${handle}` },
    ];
  });
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
    const kind = line.startsWith("-A ") ? iptablesKind(line) : undefined;
    if (!kind) return [];
    return [{ tool, kind, rule: `-t ${table} ${line}`, remove: `${tool} -t ${table} ${line.replace(/^-A/, "-D")}` }];
  });
}

function iptablesKind(line: string): FirewallSuspect["kind"] | undefined {
  if (/-j TCPOPTSTRIP.*--strip-options \S*\b(30|mptcp)\b/.test(line)) return "strip";
  if (!/-j (DROP|REJECT)\b/.test(line)) return undefined;
  if (/(?<!! )--tcp-option 30\b/.test(line)) return "option";
  return /(?<!! )--(ct)?state \S*\bINVALID\b/.test(line) ? "invalid" : undefined;
}
