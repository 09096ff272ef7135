import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { entryFile } from "../../plugin/index.ts";

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const ASSETS: readonly (readonly [path: string, file: string, type: string])[] = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/page.js", "page.js", "text/javascript; charset=utf-8"],
  ["/page.css", "page.css", "text/css; charset=utf-8"],
  ["/icon.svg", "icon.svg", "image/svg+xml"],
];

/** Read once: nothing that is asked for later is a path of this machine. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const index = entryFile(import.meta.url, {
    bundled: join("web", "index.html"),
    built: join("..", "..", "..", "bundle", "web", "index.html"),
  });
  const folder = dirname(index);
  return new Map(ASSETS.map(([path, file, type]) => [path, { type, bytes: readFileSync(join(folder, file)) }]));
}
