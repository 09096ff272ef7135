// The documentation as a site: `npm run docs` writes dist/site, `node tools/docs.mjs FOLDER` another folder. It needs no server, and loads
// nothing from elsewhere. A link or an anchor that leads to nothing fails it, and nothing is written then.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { layout } from "./docs/layout.mjs";
import { readGroups } from "./docs/pages.mjs";
import { anchorFaults, renderPage } from "./docs/render.mjs";
import { root } from "./setup.mjs";

const HERE = join(root, "tools", "docs");

/** Every page, what search finds in them, files that go along, and what is wrong with the links. */
export function readSite(from = root) {
  const groups = readGroups(from);
  const pages = groups.flatMap(([, list]) => list);
  const site = {
    root: from,
    pages: new Map(pages.map((page) => [page.source, page])),
    links: [],
    files: new Map(),
    faults: [],
  };
  const rendered = pages.map((page) => renderPage(site, page));
  const faults = [...site.faults, ...anchorFaults(site, rendered)];
  return { groups, rendered, files: site.files, faults, pieces: rendered.flatMap(({ pieces }) => pieces) };
}

/** Writes the site; the folder is emptied before if it is one of ours. */
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
  cpSync(join(HERE, "site.css"), join(folder, "site.css"));
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

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const folder = resolve(process.argv[2] ?? join(root, "dist", "site"));
  try {
    const pages = await writeSite(folder);
    console.log(`${pages.length} pages: ${relative(process.cwd(), join(folder, "index.html"))}`);
  } catch (error) {
    console.error(`The site is not written:\n${error.message}`);
    process.exitCode = 1;
  }
}
