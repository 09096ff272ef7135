import { readFileSync } from "node:fs";

/** The users of /etc/passwd, none where it cannot be read; those from elsewhere (LDAP) are not among them. */
export function localUsers(): readonly (readonly [name: string, uid: number])[] {
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    return lines.map((line) => line.split(":")).map(([name = "", , uid]) => [name, Number(uid)]);
  } catch {
    return [];
  }
}
