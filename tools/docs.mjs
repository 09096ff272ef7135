// `npm run docs`: the documentation as a site, in dist/site; `node tools/docs.mjs FOLDER`: in another folder.
import { rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { build, nodeModules, root } from "./setup.mjs";

nodeModules();
// The API reference is made from what the compiler writes.
build();
const { writeSite } = await import("./docs/site.mjs");
const OURS = join(root, "dist", "site");
const folder = resolve(process.argv[2] ?? OURS);
try {
  if (folder === OURS) rmSync(OURS, { recursive: true, force: true });
  const pages = await writeSite(folder);
  console.log(`${pages.length} pages: ${relative(process.cwd(), join(folder, "index.html"))}`);
} catch (error) {
  console.error(`The site is not written:\n${error.message}`);
  process.exitCode = 1;
}
