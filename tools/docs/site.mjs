// The documentation as a site: needs no server, loads nothing from elsewhere. With a link or an anchor that leads to nothing, nothing is written.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { root } from "../setup.mjs";
import { apiPages } from "./api.mjs";
import { layout } from "./layout.mjs";
import { readGroups } from "./pages.mjs";
import { anchorFaults, renderPage } from "./render.mjs";

const HERE = join(root, "tools", "docs");

/** Every page, what search finds in them, files that go along, and what is wrong with the links. */
export function readSite(from = root) {
  const api = apiPages(from);
  const groups = readGroups(from, api.pages);
  const pages = groups.flatMap(([, list]) => list);
  const site = {
    root: from,
    places: api.places,
    pages: new Map(pages.map((page) => [page.source, page])),
    links: [],
    files: new Map(),
    faults: [],
  };
  const rendered = pages.map((page) => renderPage(site, page));
  const faults = [...site.faults, ...anchorFaults(site, rendered)];
  return { groups, rendered, files: site.files, faults, pieces: rendered.flatMap(({ pieces }) => pieces) };
}

/** Writes the site into a folder, beside what else is there. */
export async function writeSite(folder) {
  const { groups, rendered, files, faults, pieces } = readSite();
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  rmSync(join(folder, "files"), { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const open of rendered) writeFileSync(join(folder, open.target), layout({ groups, open, version }));
  for (const [name, file] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    cpSync(file, join(folder, name));
  }
  await build({ entryPoints: [join(HERE, "site.css")], outfile: join(folder, "site.css"), bundle: true });
  cpSync(join(root, "src", "page", "icon.svg"), join(folder, "icon.svg"));
  writeFileSync(join(folder, "search-text.js"), `globalThis.SUBFLOW_TEXT = ${JSON.stringify(pieces)};\n`);
  const target = ["es2022"];
  await build({
    entryPoints: [join(HERE, "site.js")],
    outfile: join(folder, "site.js"),
    bundle: true,
    minify: true,
    target,
  });
  return rendered.map(({ target }) => target);
}
