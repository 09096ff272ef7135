// Text as man(7) has it: macros of every man(1) that there is, groff's and mandoc's.

/** As it stands: nothing in it is a request, and a hyphen can be copied into a shell. */
export function escaped(text) {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("…", "...")
    .replace(/^([.'])/gm, "\\&$1");
}

/** Inline Markdown: `code`, **bold**, _word_, [text](target). */
export function inline(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\b_[^_\s][^_]*_\b|\[[^\]]+\]\([^)]+\))/);
  const joined = parts.map((part, index) => (index % 2 === 0 ? escaped(part) : special(part))).join("");
  return joined.replace(/^([.'])/gm, "\\&$1");
}

function special(part) {
  if (part.startsWith("`")) return `\\fB${escaped(part.slice(1, -1))}\\fR`;
  if (part.startsWith("**")) return `\\fB${escaped(part.slice(2, -2))}\\fR`;
  if (part.startsWith("_")) return `\\fI${escaped(part.slice(1, -1))}\\fR`;
  const [, label, target] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
  // What it leads to in the folder of documents, nobody can follow in a terminal.
  return /^https?:/.test(target) ? `${inline(label)} (${escaped(target)})` : inline(label);
}

const argument = (text) => `"${escaped(text).replaceAll('"', "\\(dq")}"`;

/** One page, written from its head to its foot. */
export class Page {
  #lines;

  /** @param summary one line, no full stop */
  constructor({ name, section, summary, version, date }) {
    const head = [argument(name.toUpperCase()), argument(section), `"${date}"`, argument(`subflow ${version}`)];
    this.#lines = [`.TH ${head.join(" ")} ${argument("Subflow")}`];
    this.section("Name");
    this.#lines.push(`${escaped(name)} \\- ${escaped(summary.replaceAll("`", ""))}`);
  }

  section(title) {
    this.#lines.push(`.SH ${argument(title.toUpperCase())}`);
    return this;
  }

  subsection(title) {
    this.#lines.push(`.SS ${argument(title)}`);
    return this;
  }

  /** Behind a heading a paragraph begins by itself. */
  #begin() {
    if (!/^\.S[HS] /.test(this.#lines.at(-1))) this.#lines.push(".PP");
  }

  paragraph(markdown) {
    this.#begin();
    this.#lines.push(inline(markdown));
    return this;
  }

  /** Lines that stay as they are. */
  literal(text) {
    this.#begin();
    this.#lines.push(".RS 4", ".nf", escaped(text.replace(/\n+$/, "")), ".fi", ".RE");
    return this;
  }

  /** A command line: its first words bold, what may stand behind them in lines that may be broken. */
  synopsis(words, usage) {
    this.#begin();
    this.#lines.push(`\\fB${escaped(words)}\\fR ${escaped(usage.replace(/\s+/g, " "))}`.trimEnd());
    return this;
  }

  /** Names with what they mean; `depth` levels further in. */
  definition(term, markdown, depth = 0) {
    for (let level = 0; level < depth; level++) this.#lines.push(".RS 4");
    this.#lines.push(".TP", `\\fB${escaped(term)}\\fR`, inline(markdown) || "\\&");
    for (let level = 0; level < depth; level++) this.#lines.push(".RE");
    return this;
  }

  bullet(markdown) {
    this.#lines.push(".IP \\(bu 2", inline(markdown));
    return this;
  }

  text() {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** Where something new begins: after an empty line outside of code, before an item of a list, behind a heading. */
function blocksOf(text) {
  const blocks = [[]];
  let isCode = false;
  for (const line of text.split("\n")) {
    const begins = !isCode && (line === "" || /^(#|- |\d+\. |```)/.test(line) || blocks.at(-1)[0]?.startsWith("#"));
    if (begins) blocks.push([]);
    if (line.startsWith("```")) isCode = !isCode;
    if (line !== "" || isCode) blocks.at(-1).push(line);
  }
  return blocks.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
}

/** Appends a piece of a document in Markdown: headings, paragraphs, lists, tables, code. */
export function markdown(page, text) {
  for (const block of blocksOf(text)) {
    const [, marks, title] = /^(#+) (.*)$/.exec(block) ?? [];
    if (marks) page[marks.length <= 2 ? "section" : "subsection"](title.replaceAll("`", ""));
    else if (block.startsWith("```")) page.literal(block.replace(/^```.*\n|\n?```$/g, ""));
    else if (block.startsWith("|")) table(page, block);
    else if (/^(- |\d+\. )/.test(block)) page.bullet(unwrapped(block.replace(/^(- |\d+\. )/, "")));
    else page.paragraph(unwrapped(block));
  }
}

const unwrapped = (text) => text.replace(/\s*\n\s*/g, " ");

/** A row is a name and what it means: wide tables do not fit a terminal. */
function table(page, block) {
  const [head, , ...rows] = block.split("\n").map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  for (const [name, ...cells] of rows) {
    const says = cells.map((cell, index) => (cells.length > 1 ? `${head[index + 1]}: ${cell}` : cell));
    page.definition(name.replaceAll("`", ""), says.join("; "));
  }
}
