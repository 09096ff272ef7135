import { isUtf8 } from "node:buffer";

/** A line that is no JSON of ours: what is wrong, and at which byte of the line. */
export interface JsonFault {
  readonly problem: string;
  readonly offset: number;
}

/** Requests are flat; what is deeper serves only to exhaust the stack of whoever walks it. */
export const NESTING_MAX = 16;

const [QUOTE, BACKSLASH, BRACKET, BRACE, BRACKET_END, BRACE_END] = [...'"\\[{]}'].map((each) => each.charCodeAt(0));

/** Parses a line whose nesting is bounded. */
export function parseJson(line: Buffer): { readonly value: unknown } | JsonFault {
  if (!isUtf8(line)) return { problem: "not UTF-8", offset: 0 };
  const tooDeep = nestingFault(line);
  if (tooDeep) return tooDeep;
  const text = line.toString("utf8");
  try {
    return { value: JSON.parse(text) };
  } catch {
    const { problem, at } = findFault(text);
    return { problem: `not JSON: ${problem}`, offset: Buffer.byteLength(text.slice(0, at)) };
  }
}

function nestingFault(line: Uint8Array): JsonFault | undefined {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < line.length; at++) {
    const byte = line[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === BRACKET || byte === BRACE) {
      if (++depth > NESTING_MAX) return { problem: `nested deeper than ${NESTING_MAX}`, offset: at };
    } else if (byte === BRACKET_END || byte === BRACE_END) depth--;
  }
  return undefined;
}

const SPACE = /[ \t\r\n]*/y;
const TOKEN =
  /([[\]{}:,])|("(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/uy;

type Kind = "[" | "]" | "{" | "}" | ":" | "," | "string" | "scalar";
type Expected = "value" | "value or ]" | "key" | "key or }" | ":" | ", or ]" | ", or }" | "end";

const VALUE = ["[", "{", "string", "scalar"] as const;
const ALLOWED: Readonly<Record<Expected, readonly Kind[]>> = {
  value: VALUE,
  "value or ]": [...VALUE, "]"],
  key: ["string"],
  "key or }": ["string", "}"],
  ":": [":"],
  ", or ]": [",", "]"],
  ", or }": [",", "}"],
  end: [],
};

/** V8 says what is wrong, and not always where: the first token that cannot stand where it stands. */
function findFault(text: string): { problem: string; at: number } {
  const open: ("[" | "{")[] = [];
  let expected: Expected = "value";
  const afterValue = (): Expected => (open.length === 0 ? "end" : open.at(-1) === "[" ? ", or ]" : ", or }");
  for (let at = 0; ; ) {
    SPACE.lastIndex = at;
    at += SPACE.exec(text)?.[0].length ?? 0;
    TOKEN.lastIndex = at;
    const [token, mark, string] = TOKEN.exec(text) ?? [];
    const kind = (mark ?? (string === undefined ? "scalar" : "string")) as Kind;
    if (token === undefined || !ALLOWED[expected].includes(kind)) return { problem: `${expected} expected`, at };
    at += token.length;
    const isKey: boolean = expected === "key" || expected === "key or }";
    if (kind === "[" || kind === "{") {
      open.push(kind);
      expected = kind === "[" ? "value or ]" : "key or }";
    } else if (kind === "]" || kind === "}") {
      open.pop();
      expected = afterValue();
    } else if (kind === ",") expected = open.at(-1) === "[" ? "value" : "key";
    else if (kind === ":") expected = "value";
    else expected = isKey ? ":" : afterValue();
  }
}
