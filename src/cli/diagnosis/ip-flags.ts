import { spawnSync } from "node:child_process";
import { ENDPOINT_FLAG } from "../../types/index.ts";

/** It prints a page of help. */
const DEADLINE = 2000;

/** The flags of endpoints that the installed ip(8) takes, by its own help; undefined: none is installed, or it has no `mptcp`. */
export function ipFlags(): ReadonlySet<string> | undefined {
  const { stdout, stderr, error } = spawnSync("ip", ["mptcp", "help"], {
    encoding: "utf8",
    timeout: DEADLINE,
    env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
  });
  const help = `${stdout ?? ""}${stderr ?? ""}`;
  if (error || !/\bendpoint\b/.test(help)) return undefined;
  return new Set(Object.keys(ENDPOINT_FLAG).filter((name) => new RegExp(`\\b${name}\\b`).test(help)));
}
