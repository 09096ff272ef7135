// What runs in the reader's browser: search. The pieces of text come as a script, since a page opened from a file may not fetch.
import { searchOf } from "./search.mjs";

const form = document.querySelector(".search");
const input = form.querySelector("input");
const results = document.querySelector(".results");
const MOST = 12;
let search;

/** Loads the text at the first use: most readers of a page do not search. */
function load() {
  search ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "search-text.js";
    script.onload = () => resolve(searchOf(globalThis.SUBFLOW_TEXT));
    script.onerror = () => reject(new Error("search-text.js is not there"));
    document.head.append(script);
  });
  return search;
}

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

function show(found, words) {
  const list = document.createElement("ul");
  for (const { at, title, page, excerpt } of found.slice(0, MOST)) {
    const link = Object.assign(element("a", title), { href: at });
    const item = document.createElement("li");
    item.append(link, " ", element("small", page === title ? "" : page), element("p", excerpt));
    list.append(item);
  }
  const count = found.length > MOST ? `The best ${MOST} of ${found.length}` : `${found.length}`;
  results.replaceChildren(
    element("p", found.length === 0 ? `Nothing about "${words}".` : `${count} for "${words}"`),
    list,
  );
  results.hidden = false;
}

function close() {
  results.hidden = true;
  results.replaceChildren();
}

async function look() {
  const words = input.value.trim();
  if (words.length < 2) return close();
  try {
    const ready = await load();
    if (input.value.trim() === words) show(ready(words), words);
  } catch (error) {
    results.replaceChildren(element("p", `No search: ${error.message}.`));
    results.hidden = false;
  }
}

form.hidden = false;
input.addEventListener("input", look);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const first = results.querySelector("a");
  if (first) first.click();
});
results.addEventListener("click", ({ target }) => {
  if (target.closest("a")) close();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && (input.value !== "" || !results.hidden)) {
    input.value = "";
    close();
  } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  }
});
