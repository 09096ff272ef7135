import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Name of a user → number; undefined: there is none of that name. */
export function userId(user: string | number): number | undefined {
  if (typeof user === "number") return user;
  if (/^\d+$/.test(user)) return Number(user);
  return fromFile(user) ?? fromDirectory(user);
}

function fromFile(user: string): number | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${user}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}

/** Users of a directory (LDAP, systemd-homed) are known to getpwnam(3) alone. */
function fromDirectory(user: string): number | undefined {
  if (user.startsWith("-")) return undefined;
  try {
    const found = execFileSync("id", ["-u", user], {
      encoding: "utf8",
      timeout: 2000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return /^\d+\n$/.test(found) ? Number(found) : undefined;
  } catch {
    return undefined;
  }
}
