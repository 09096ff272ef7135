// Which pages the site has, in which order, and for whom. A page of docs/ that no group names stands under "More", so that none is lost.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const GROUPS = [
  ["Begin", ["README.md", "docs/start.md", "docs/installation.md", "docs/faq.md", "docs/glossary.md"]],
  [
    "Laptop, phone, router",
    ["docs/recipes.md", "docs/applications.md", "docs/configuration.md", "docs/policies.md", "docs/rules.md"],
  ],
  ["Servers and operators", ["docs/daemon.md", "docs/metrics.md", "docs/web.md", "docs/kernels.md"]],
  ["When something is wrong", ["docs/troubleshooting.md", "docs/doctor.md", "docs/recording.md", "docs/errors.md"]],
  ["Programs", ["docs/cli.md", "docs/protocol.md", "docs/plugins.md", "docs/api.md"]],
  ["Research", ["docs/lab.md", "docs/comparison.md", "docs/differences.md", "bench/RESULTS.md"]],
  ["How it is built", ["ARCHITECTURE.md", "docs/engine.md", "CONTRIBUTING.md", "docs/releasing.md", "CHANGELOG.md"]],
];

/** Shorter in the navigation than at the top of the page. */
const LABELS = {
  "README.md": "What it is",
  "docs/start.md": "Start in five minutes",
  "docs/web.md": "Page in the browser",
  "docs/differences.md": "Differences from the kernel",
};

/** The file of a page in the site: flat, so that every link is a name. */
function target(source) {
  if (source === "README.md") return "index.html";
  return `${source.replace(/^.*\//, "").replace(/\.md$/, "").toLowerCase()}.html`;
}

function page(root, source) {
  const text = readFileSync(join(root, source), "utf8");
  const title = /^# (.+)$/m.exec(text)?.[1].replaceAll("`", "");
  if (title === undefined) throw new Error(`${source}: no line "# TITLE", which names the page`);
  return { source, text, title, label: LABELS[source] ?? title, target: target(source) };
}

/**
 * @param api pages that are made and not written
 * @returns `[name of the group, its pages]`, each page with source, text, title, label and target.
 */
export function readGroups(root, api = []) {
  const named = new Set(GROUPS.flatMap(([, sources]) => sources));
  const others = readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md") && !named.has(`docs/${name}`))
    .map((name) => `docs/${name}`);
  const all = others.length === 0 ? GROUPS : [...GROUPS, ["More", others]];
  const groups = all.map(([name, sources]) => [name, sources.map((source) => page(root, source))]);
  // After the text that says what each door is for.
  if (api.length > 0) groups.splice(groups.findIndex(([name]) => name === "Programs") + 1, 0, ["API reference", api]);
  const seen = new Map();
  for (const { source, target } of groups.flatMap(([, pages]) => pages)) {
    if (seen.has(target)) throw new Error(`${source} and ${seen.get(target)} would both be ${target}: rename one`);
    seen.set(target, source);
  }
  return groups;
}
