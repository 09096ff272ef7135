/** Escape sequences of colours: they take no room. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how they begin
const ESCAPES = /\u001b\[[0-9;]*m/g;

/** How many columns a text takes. */
export function columns(text: string): number {
  return text.replace(ESCAPES, "").length;
}

/** A text of its own indentation, broken between words where it is wider than `width`; later lines begin after `hang` blanks. */
export function wrapped(text: string, width: number, hang: number): string[] {
  if (columns(text) <= width) return [text];
  const lines: string[] = [];
  let line = /^ */.exec(text)![0];
  let isFresh = true;
  // Blanks before a word belong to it: columns stay apart as long as they share a line.
  for (const [, blanks = "", word = ""] of text.slice(line.length).matchAll(/( *)(\S+)/g)) {
    const more = isFresh ? word : blanks + word;
    if (!isFresh && columns(line + more) > width) {
      lines.push(line);
      line = " ".repeat(hang) + word;
    } else line += more;
    isFresh = false;
  }
  return [...lines, line];
}

/** One line of a table: name, value, and a meaning that may take several lines. */
export type Row = readonly [name: string, value: string, meaning: string];

/** So much room a meaning needs beside its name; with less it stands below. */
const BESIDE_MIN = 24;

/** Aligned rows, indented by two; in a narrow terminal the meanings are broken, or stand below their names. */
export function tableLines(
  rows: readonly Row[],
  width: number,
  dim: (text: string) => string = (text) => text,
): string[] {
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  const valueWidth = Math.max(0, ...rows.map(([, value]) => value.length));
  const start = 2 + nameWidth + (valueWidth > 0 ? 2 + valueWidth : 0) + 2;
  const isBeside = width - start >= BESIDE_MIN || rows.every(([, , meaning]) => start + columns(meaning) <= width);
  return rows.flatMap(([name, value, meaning]) => {
    const cells = valueWidth > 0 ? [name.padEnd(nameWidth), value.padEnd(valueWidth)] : [name.padEnd(nameWidth)];
    if (isBeside) {
      const [first = "", ...more] = wrapped(meaning, width - start, 0);
      const head = `  ${cells.join("  ")}  ${first === "" ? "" : dim(first)}`.trimEnd();
      return [head, ...more.map((line) => `${" ".repeat(start)}${dim(line)}`)];
    }
    const head = wrapped(`  ${name}  ${value}`.trimEnd(), width, 4);
    return [...head, ...(meaning === "" ? [] : wrapped(`      ${meaning}`, width, 6).map(dim))];
  });
}

/** The first `width` columns of a line, with the escape sequences of all of it, so that no colour goes on. */
export function clipped(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let left = width;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how escape sequences begin
  return text.replace(/(\u001b\[[0-9;]*m)|./gu, (found, colour) => (colour || left-- > 0 ? found : ""));
}
