import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SubflowError } from "../types/index.ts";

/**
 * The file of a process that imports somebody's module: beside the bundle, or where the compiler has put it.
 * @param url import.meta.url of who asks (in the bundle, a path)
 * @throws SubflowError it is in neither place
 */
export function entryFile(
  url: string,
  { bundled, built }: { readonly bundled: string; readonly built: string },
): string {
  const folder = dirname(url.startsWith("file:") ? fileURLToPath(url) : url);
  const places = [join(folder, bundled), join(folder, built)];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new SubflowError(`${places[0]} is missing; build Subflow again`, { code: "PLUGIN" });
}
