// `node tools/docs/badges.mjs`: docs/badges.svg, from what the repository itself says; a test holds it to that.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../setup.mjs";
import { escapeHtml } from "./render.mjs";

const FILE = join("docs", "badges.svg");
/** Pixels of a letter at 11 px, more or less: a badge may be a little wide, and never too narrow. */
const LETTER = 6.7;
const [HEIGHT, PAD, GAP] = [22, 8, 6];

/** What each says, and of what. */
function facts() {
  const { engines, license, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const kernel = /Linux (\d+\.\d+) or newer/.exec(readFileSync(join(root, "README.md"), "utf8"));
  if (!kernel) throw new Error('README.md: it says nowhere "Linux 5.19 or newer"');
  const native = statSync(join(root, "prebuilds", "linux-x64", "subflow.node")).size;
  return [
    ["Linux", `${kernel[1]}+`],
    ["Node", `${engines.node.replace(/^>=/, "")}+`],
    ["licence", license],
    ["native part", `${Math.round(native / 1000)} kB`],
    ["npm packages needed", `${Object.keys(dependencies).length}`],
  ];
}

/** The badges in a row. */
export function badges() {
  let x = 0;
  const parts = facts().map(([name, value]) => {
    const [left, right] = [name, value].map((text) => Math.ceil(text.length * LETTER) + 2 * PAD);
    const at = x;
    x += left + right + GAP;
    return [
      `<g transform="translate(${at})"><rect width="${left + right}" height="${HEIGHT}" rx="4" fill="#0b5c73"/>`,
      `<path d="M4 0h${left - 4}v${HEIGHT}H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4" fill="#37474f"/>`,
      `<text x="${left / 2}" y="15">${escapeHtml(name)}</text><text x="${left + right / 2}" y="15">${escapeHtml(value)}</text></g>`,
    ].join("");
  });
  const said = facts()
    .map((pair) => pair.join(" "))
    .join(", ");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${x - GAP}" height="${HEIGHT}" role="img">`,
    `<title>${escapeHtml(said)}</title>`,
    "<style>text{font:11px Verdana,DejaVu Sans,sans-serif;fill:#fff;text-anchor:middle}</style>",
    ...parts,
    "</svg>\n",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(root, FILE), badges());
