// A Node to carry along: the official binary, as the npm registry has it. Kept in node_modules/.cache/node.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Maintained until April 2028. */
const VERSION = "24.21.0";

/** @returns paths of the program and of its licence */
export function runtime(root, arch) {
  const folder = join(root, "node_modules", ".cache", "node", `${VERSION}-${arch}`);
  const found = { binary: join(folder, "package", "bin", "node"), license: join(folder, "package", "LICENSE") };
  if (existsSync(found.binary)) return found;
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const name = `node-linux-${arch}@${VERSION}`;
  must(name, "npm", ["pack", "--silent", "--pack-destination", fresh, name]);
  const archive = readdirSync(fresh).find((file) => file.endsWith(".tgz"));
  must(name, "tar", ["-C", fresh, "-xzf", join(fresh, archive), "package/bin/node", "package/LICENSE"]);
  rmSync(join(fresh, archive));
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
  return found;
}

function must(name, command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return;
  throw new Error(`${name} cannot be had: ${error?.message ?? stderr.trim()}`);
}
