// Markdown of the repository to HTML of the site: anchors as GitHub makes them, links between documents, pictures and files that go along.
import { existsSync, statSync } from "node:fs";
import { basename, join, posix } from "node:path";
import GithubSlugger from "github-slugger";
import { Marked } from "marked";

export const escapeHtml = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** What a browser shows by itself; everything else gets .txt, or it would be downloaded. */
const SHOWN = /\.(json|svg|png|txt|html)$/;

/** The words of a heading or paragraph, without markup. */
const plain = (tokens) =>
  tokens
    .map(({ type, tokens: inner, text = "" }) => (type !== "image" && inner ? plain(inner) : text))
    .join("")
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" })[name]);

/** Where a link leads: to a page, to a file that is copied, elsewhere, or (a folder) nowhere that the site has. */
function resolveLink(site, page, href) {
  if (/^(https?:|mailto:)/.test(href)) return { href };
  const [path, anchor] = href.split("#");
  const source = path === "" ? page.source : posix.join(posix.dirname(page.source), decodeURI(path));
  const other = site.pages.get(source);
  if (other) {
    site.links.push({ from: page.source, href, to: other.target, anchor });
    return { href: `${source === page.source && anchor ? "" : other.target}${anchor ? `#${anchor}` : ""}` };
  }
  const file = join(site.root, source);
  if (source.startsWith("..") || !existsSync(file)) {
    site.faults.push(`${page.source}: the link "${href}" leads to nothing`);
    return {};
  }
  if (statSync(file).isDirectory()) return {};
  const copied = `files/${source.replaceAll("/", "-")}${SHOWN.test(source) ? "" : ".txt"}`;
  site.files.set(copied, file);
  return { href: copied };
}

/** Comments stand back, and names of types lead to where they are explained. */
const typescript = (text, places) =>
  text
    .split(/(\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*)/)
    .map((part, at) => {
      if (at % 2 === 1) return `<i>${escapeHtml(part)}</i>`;
      return escapeHtml(part).replace(/\b[A-Z]\w+\b/g, (name) =>
        places?.has(name) ? `<a href="${places.get(name)}">${name}</a>` : name,
      );
    })
    .join("");

const region = (inner, label) =>
  `<div class="scroll" role="region" tabindex="0" aria-label="${escapeHtml(label)}">${inner}</div>\n`;

function renderers(site, page, state) {
  return {
    heading({ tokens, depth }) {
      const words = plain(tokens);
      const id = state.slugger.slug(words);
      state.headings.push({ id, depth, words });
      const content = this.parser.parseInline(tokens);
      const link =
        depth === 1 ? "" : ` <a class="anchor" href="#${id}" aria-label="Link to ${escapeHtml(words)}">#</a>`;
      return `<h${depth} id="${id}">${content}${link}</h${depth}>\n`;
    },
    link({ href, tokens }) {
      const content = this.parser.parseInline(tokens);
      const { href: to } = resolveLink(site, page, href);
      return to === undefined ? content : `<a href="${escapeHtml(to)}">${content}</a>`;
    },
    image({ href, text }) {
      const { href: to } = resolveLink(site, page, href);
      if (to === undefined || /^https?:/.test(to)) {
        site.faults.push(`${page.source}: the picture "${href}" is not a file of the repository`);
      }
      return `<img src="${escapeHtml(to ?? "")}" alt="${escapeHtml(text)}" loading="lazy">`;
    },
    code({ text, lang }) {
      state.regions += 1;
      const label = `${lang === "console" ? "Terminal" : "Text"} ${state.regions}`;
      const content =
        lang === "ts"
          ? typescript(text, site.places)
          : escapeHtml(text).replace(/^(\$ .*)$/gm, lang === "console" ? "<b>$1</b>" : "$1");
      return `<pre tabindex="0" role="region" aria-label="${label}"><code>${content}</code></pre>\n`;
    },
    table({ header, rows }) {
      state.regions += 1;
      const cell = (tag) => (one) => `<${tag}>${this.parser.parseInline(one.tokens)}</${tag}>`;
      const head = header.map((one) => cell(one.text.trim() === "" ? "td" : "th")(one)).join("");
      const body = rows.map((row) => `<tr>${row.map(cell("td")).join("")}</tr>`).join("\n");
      const top = header.some(({ text }) => text.trim() !== "") ? `<thead><tr>${head}</tr></thead>` : "";
      return region(`<table>${top}<tbody>${body}</tbody></table>`, `Table ${state.regions}`);
    },
    html({ text }) {
      if (/^\s*<!--/.test(text)) return "";
      return text.replace(/\b(src|srcset|href)="([^"]+)"/g, (_, name, href) => {
        const { href: to = "" } = resolveLink(site, page, href);
        if (name !== "href" && /^https?:/.test(to))
          site.faults.push(`${page.source}: "${href}" is loaded from elsewhere`);
        return `${name}="${escapeHtml(to)}"`;
      });
    },
  };
}

/** What search finds: a piece of text for each heading, under its anchor. */
function pieces(page, tokens, headings) {
  const found = [];
  let at = -1;
  for (const token of tokens) {
    if (token.type === "heading") {
      at += 1;
      const { id, words, depth } = headings[at];
      found.push({
        page: page.title,
        title: words,
        at: depth === 1 && at === 0 ? page.target : `${page.target}#${id}`,
        text: "",
      });
    } else if (found.length > 0 && token.raw) {
      const text = token.raw.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/^```.*$|[`*|]+|-{3,}/gm, " ");
      found.at(-1).text += ` ${text.replace(/\s+/g, " ").trim()}`;
    }
  }
  return found;
}

/**
 * @param site what is known of the whole: root, pages by source; links, files and faults are added to it
 * @returns the page with its HTML, headings and the pieces that search finds
 */
export function renderPage(site, page) {
  const state = { slugger: new GithubSlugger(), headings: [], regions: 0 };
  const marked = new Marked({ gfm: true, renderer: renderers(site, page, state) });
  const tokens = marked.lexer(page.text);
  const html = marked.parser(tokens);
  return { ...page, html, headings: state.headings, pieces: pieces(page, tokens, state.headings) };
}

/** A fault for each link whose anchor no heading has. */
export function anchorFaults(site, rendered) {
  const ids = new Map(rendered.map(({ target, headings }) => [target, new Set(headings.map(({ id }) => id))]));
  return site.links
    .filter(({ to, anchor }) => anchor && !ids.get(to).has(anchor))
    .map(({ from, href, to }) => `${from}: the link "${href}" leads to no heading of ${basename(to)}`);
}
