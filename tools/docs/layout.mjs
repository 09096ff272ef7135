// The one layout of every page: header with search, the article, navigation by kind of reader.
import { escapeHtml } from "./render.mjs";

/** Under the title of the first page: what a reader may have, and where that begins. */
const KINDS = [
  ["A laptop", "laptop"],
  ["A router with several uplinks", "router-with-several-uplinks"],
  ["A server behind a load balancer", "server-behind-a-load-balancer"],
  ["A phone or hotspot", "phone-or-hotspot"],
  ["The wish to find out", "researcher"],
].map(([label, anchor]) => `<li><a href="start.html#${anchor}">${label}</a></li>`);
const START = `<nav class="kinds" aria-label="Start by what you have"><ul><li>Start with:</li>${KINDS.join("")}</ul></nav>`;

/** Headings of the page that is open stand under its name in the navigation. */
function contents({ headings }) {
  const second = headings.filter(({ depth }) => depth === 2);
  if (second.length < 2) return "";
  return `<ul>${second.map(({ id, words }) => `<li><a href="#${id}">${escapeHtml(words)}</a></li>`).join("")}</ul>`;
}

function navigation(groups, open) {
  const item = ({ target, label }) =>
    target === open.target
      ? `<li><a href="${target}" aria-current="page">${escapeHtml(label)}</a>${contents(open)}</li>`
      : `<li><a href="${target}">${escapeHtml(label)}</a></li>`;
  return groups
    .map(([name, pages]) => `<h2>${escapeHtml(name)}</h2>\n<ul>\n${pages.map(item).join("\n")}\n</ul>`)
    .join("\n");
}

/** Previous and next page, in the order of the navigation. */
function neighbours(groups, open) {
  const pages = groups.flatMap(([, list]) => list);
  const at = pages.findIndex(({ target }) => target === open.target);
  const link = (page, word) =>
    page ? `<a href="${page.target}"><small>${word}</small> ${escapeHtml(page.label)}</a>` : "<span></span>";
  return `<nav class="neighbours" aria-label="Neighbouring pages">${link(pages[at - 1], "Before:")}${link(pages[at + 1], "Next:")}</nav>`;
}

/** The whole file of a page; `open` is rendered, `logo` is SVG. */
export function layout({ groups, open, version }) {
  const title = open.target === "index.html" ? "Subflow" : `${open.title} · Subflow`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="site.css">
<script src="site.js" defer></script>
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header>
<a class="brand" href="index.html"><img src="icon.svg" alt="" width="28" height="28">Subflow <small>${escapeHtml(version)}</small></a>
<form role="search" class="search" hidden>
<input type="search" aria-label="Search" placeholder="Search ( / )" autocomplete="off" spellcheck="false">
</form>
<a class="to-menu" href="#menu">Menu</a>
</header>
<div class="results" role="region" aria-label="Found" aria-live="polite" hidden></div>
<div class="columns">
<main id="content">
${open.target === "index.html" ? open.html.replace("</h1>", `</h1>${START}`) : open.html}
${neighbours(groups, open)}
</main>
<nav id="menu" aria-label="Pages">
<a class="close" href="#content">Close</a>
${navigation(groups, open)}
</nav>
</div>
</body>
</html>
`;
}
